<?php
define('CLI_SCRIPT', true);
require __DIR__ . '/../../config.php';
$options = standin_options(['non-interactive', 'is-pending']);
require $CFG->dirroot . '/version.php';
if ($version < $CFG->version) {
    say_error('Can not continue: this would be a downgrade.');
}
if ($version == $CFG->version) {
    say_error("No upgrade needed for the installed version {$release} ({$version}).", 0);
}
if (isset($options['is-pending'])) {
    say_error('An upgrade is pending.', 2);
}
set_config('version', number_format($version, 2, '.', ''));
set_config('release', $release);
echo "Command line upgrade completed successfully.\n";
