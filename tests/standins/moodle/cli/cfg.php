<?php
define('CLI_SCRIPT', true);
require __DIR__ . '/../../config.php';
$options = standin_options(['component', 'name', 'set', 'json']);
$component = ($options['component'] ?? 'core') === 'core' ? null : $options['component'];
$forced = $component ? $CFG->forced_plugin_settings[$component] ?? [] : $CFG->config_php_settings;
if (isset($options['set'])) {
    array_key_exists($options['name'], $forced) && say_error('The configuration variable is set in config.php, unable to change.', 4);
    set_config($options['name'], $options['set'], $component);
    exit(0);
}
if (!isset($options['name'])) {
    $all = $component ? $forced : (array) $CFG;
    echo json_encode(array_filter($all, fn($value) => !is_array($value))), "\n";
    exit(0);
}
$value = get_config($component, $options['name']);
$value === false && !array_key_exists($options['name'], $forced) && say_error('No such configuration variable found.', 3);
echo isset($options['json']) ? json_encode($value) : $value, "\n";
