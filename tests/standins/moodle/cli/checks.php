<?php
define('CLI_SCRIPT', true);
require __DIR__ . '/../../config.php';
$type = standin_options(['type', 'filter', 'verbose'])['type'] ?? 'status';
require $CFG->dirroot . '/version.php';
$wrong = [];
if ($type === 'status') {
    $version == $CFG->version || $wrong[] = 'core_upgradecheck';
    get_config('tool_task', 'lastcronstart') > time() - 600 || $wrong[] = 'tool_task_cronrunning';
} else {
    is_writable('/etc/moodle/config.php') && $wrong[] = 'core_configrw';
    empty($CFG->preventexecpath) && $wrong[] = 'core_preventexecpath';
    empty($CFG->cronclionly) && $wrong[] = 'core_webcron';
    empty($CFG->passwordpolicy) && $wrong[] = 'core_passwordpolicy';
}
echo $wrong ? 'CRITICAL: ' . implode(', ', $wrong) . "\n" : "OK: All '{$type}' checks OK\n";
exit($wrong ? 2 : 0);
