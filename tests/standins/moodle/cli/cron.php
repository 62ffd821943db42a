<?php
define('CLI_SCRIPT', true);
require __DIR__ . '/../../config.php';
standin_options(['keep-alive']);
set_config('lastcronstart', time(), 'tool_task');
