<?php
define('CLI_SCRIPT', true);
require __DIR__ . '/../../config.php';
$options = standin_options(['enable', 'enableold', 'disable']);
$file = "{$CFG->dataroot}/climaintenance.html";
if (isset($options['enable'])) {
    file_put_contents($file, 'maintenance');
    set_config('maintenance_enabled', 'cli mode');
} else if (isset($options['enableold'])) {
    set_config('maintenance_enabled', 1);
} else if (isset($options['disable'])) {
    set_config('maintenance_enabled', 0);
    file_exists($file) && unlink($file);
}
echo file_exists($file) ? "Status: enabled\n" : "Status: disabled\n";
