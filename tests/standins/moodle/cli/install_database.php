<?php
define('CLI_SCRIPT', true);
if (isset($_SERVER['REMOTE_ADDR'])) {
    exit(1);
}
require __DIR__ . '/../../config.php';
$options = standin_options(['lang', 'adminuser', 'adminpass', 'adminemail', 'agree-license', 'fullname', 'shortname', 'summary', 'supportemail']);
if ($DB->get_tables()) {
    say_error('Database tables already present; CLI installation cannot continue.');
}
foreach (['agree-license', 'adminpass'] as $needed) {
    empty($options[$needed]) && say_error("You have to give {$needed}.");
}
foreach ([
    'config' => 'name text UNIQUE, value text',
    'config_plugins' => 'plugin text, name text, value text',
    'user' => 'username text, password text, email text, deleted integer DEFAULT 0',
    'course' => 'fullname text, shortname text, format text',
    'modules' => 'name text, visible integer',
    'message_processors' => 'name text, enabled integer',
    'repository' => 'type text, visible integer',
    'repository_instances' => 'typeid integer',
] as $table => $columns) {
    $DB->query("CREATE TABLE {{$table}} (id serial PRIMARY KEY, {$columns})");
}
require $CFG->dirroot . '/version.php';
set_config('version', number_format($version, 2, '.', ''));
set_config('release', $release);
$DB->insert_record('user', ['username' => $options['adminuser'] ?? 'admin', 'email' => $options['adminemail'] ?? '',
    'password' => password_hash($options['adminpass'], PASSWORD_DEFAULT)]);
$DB->insert_record('course', ['fullname' => $options['fullname'] ?? '', 'shortname' => $options['shortname'] ?? '', 'format' => 'site']);
$DB->insert_record('modules', ['name' => 'bigbluebuttonbn', 'visible' => 0]);
$DB->insert_record('message_processors', ['name' => 'airnotifier', 'enabled' => 1]);
foreach (['upload', 'url', 'wikimedia'] as $type) {
    $number = $DB->insert_record('repository', ['type' => $type, 'visible' => 1]);
    $DB->insert_record('repository_instances', ['typeid' => $number]);
}
set_config('mathjaxloader', '1', 'standin');
set_config('custommenuitems', '');
set_config('lang', 'en');
set_config('registrationpending', 1);
set_config('rolesactive', 1);
echo "Installation completed successfully.\n";
