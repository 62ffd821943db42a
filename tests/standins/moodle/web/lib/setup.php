<?php
// Stand-in for Moodle, for tests: as much of upstream's contract as provision's role leans on, and a few pages.

$CFG->dirroot = dirname(__DIR__);
$CFG->libdir = __DIR__;
$CFG->umaskpermissions = ($CFG->directorypermissions & 0777) ^ 0777;
umask($CFG->umaskpermissions);
$CFG->config_php_settings = (array) $CFG;
const DAYSECS = 86400;
const MUST_EXIST = 2;
const PARAM_SAFEDIR = 'safedir';

class standin_database {
    private $line;
    public function __construct($CFG) {
        $this->line = pg_connect("user='{$CFG->dbuser}' dbname='{$CFG->dbname}' host='{$CFG->dboptions['dbsocket']}'");
        if (!$this->line) {
            throw new Exception('Database connection failed');
        }
    }
    public function query(string $sql, array $values = []): array {
        $result = pg_query_params($this->line, preg_replace('/\{(\w+)\}/', 'mdl_$1', $sql), array_values($values));
        if (!$result) {
            throw new Exception(pg_last_error($this->line));
        }
        return pg_fetch_all($result);
    }
    private function where(?array $conditions, int $from = 1): string {
        $parts = [];
        foreach (array_keys($conditions ?? []) as $name) {
            $parts[] = "{$name} = $" . $from++;
        }
        return $parts ? ' WHERE ' . implode(' AND ', $parts) : '';
    }
    public function get_tables(): array {
        return array_column($this->query('SELECT tablename FROM pg_tables WHERE schemaname = current_schema()'), 'tablename');
    }
    public function get_record(string $table, array $conditions, string $fields = '*', int $strictness = 0) {
        $rows = $this->query("SELECT {$fields} FROM {{$table}}" . $this->where($conditions), $conditions);
        if (!$rows && $strictness === MUST_EXIST) {
            throw new Exception("no record in {$table}");
        }
        return $rows ? (object) $rows[0] : false;
    }
    public function get_field(string $table, string $field, array $conditions) {
        $record = $this->get_record($table, $conditions, $field);
        return $record ? $record->$field : false;
    }
    public function get_records_menu(string $table, ?array $conditions = null, string $sort = '', string $fields = '*'): array {
        $found = [];
        foreach ($this->query("SELECT {$fields} FROM {{$table}}" . $this->where($conditions), $conditions ?? []) as $row) {
            [$key, $value] = array_values($row);
            $found[$key] = $value;
        }
        return $found;
    }
    public function set_field(string $table, string $field, $value, array $conditions): void {
        $this->query("UPDATE {{$table}} SET {$field} = $1" . $this->where($conditions, 2), [$value, ...array_values($conditions)]);
    }
    public function update_record(string $table, object $record): void {
        foreach ((array) $record as $name => $value) {
            if ($name !== 'id') {
                $this->set_field($table, $name, $value, ['id' => $record->id]);
            }
        }
    }
    public function insert_record(string $table, array $record): int {
        $marks = implode(', ', array_map(fn($number) => '$' . $number, range(1, count($record))));
        $names = implode(', ', array_keys($record));
        return (int) $this->query("INSERT INTO {{$table}} ({$names}) VALUES ({$marks}) RETURNING id", $record)[0]['id'];
    }
    public function delete_records(string $table, array $conditions): void {
        $this->query("DELETE FROM {{$table}}" . $this->where($conditions), $conditions);
    }
}
$DB = new standin_database($CFG);

function get_config($component, $name = null) {
    global $CFG, $DB;
    if (!$component || $component === 'core' || $component === 'moodle') {
        return isset($CFG->$name) ? $CFG->$name : false;
    }
    if (isset($CFG->forced_plugin_settings[$component][$name])) {
        return $CFG->forced_plugin_settings[$component][$name];
    }
    return $DB->get_field('config_plugins', 'value', ['plugin' => $component, 'name' => $name]);
}
function set_config($name, $value, $plugin = null): void {
    global $CFG, $DB;
    $where = $plugin ? ['plugin' => $plugin, 'name' => $name] : ['name' => $name];
    $table = $plugin ? 'config_plugins' : 'config';
    $DB->delete_records($table, $where);
    if ($value !== null) {
        $DB->insert_record($table, $where + ['value' => (string) $value]);
    }
    if (!$plugin && !array_key_exists($name, $CFG->config_php_settings)) {
        $CFG->$name = (string) $value;
    }
}
if (in_array('mdl_config', $DB->get_tables())) {
    foreach ($DB->get_records_menu('config', null, '', 'name, value') as $name => $value) {
        if (!array_key_exists($name, $CFG->config_php_settings)) {
            $CFG->$name = $value;
        }
    }
}
if (!defined('CLI_SCRIPT')) {
    require __DIR__ . '/weblib.php';
}

function say_error(string $text, int $code = 1): never {
    fwrite(STDERR, $text . "\n");
    exit($code);
}
/** Options of a program: --name=value and --name. */
function standin_options(array $allowed): array {
    $found = [];
    foreach (array_slice($_SERVER['argv'], 1) as $argument) {
        if (!preg_match('/^--([a-z-]+)(?:=(.*))?$/s', $argument, $part) || !in_array($part[1], $allowed)) {
            say_error("Unrecognised options: {$argument}");
        }
        $found[$part[1]] = $part[2] ?? true;
    }
    return $found;
}
function clean_param($value, $type) {
    return preg_replace('/[^a-zA-Z0-9_-]/', '', $value);
}
function make_upload_directory($name): void {
    global $CFG;
    if (!is_dir("{$CFG->dataroot}/{$name}")) {
        mkdir("{$CFG->dataroot}/{$name}", $CFG->directorypermissions, true);
    }
}
function remove_dir($path): void {
    if (is_dir($path)) {
        array_map(fn($name) => is_dir("{$path}/{$name}") ? remove_dir("{$path}/{$name}") : unlink("{$path}/{$name}"),
            array_diff(scandir($path), ['.', '..']));
        rmdir($path);
    }
}
class standin_packer {
    public function extract_to_pathname($file, $path) {
        $zip = new ZipArchive();
        return $zip->open($file) === true && $zip->extractTo($path) && $zip->close();
    }
}
function get_file_packer($type) {
    return new standin_packer();
}
class standin_strings {
    public function reset_caches(): void {
    }
}
function get_string_manager() {
    return new standin_strings();
}
class core_text {
    public static function substr($text, $from, $length) {
        return mb_substr($text, $from, $length);
    }
}
class course_modinfo {
    public static function clear_instance_cache(): void {
    }
}
function rebuild_course_cache($id, $clear): void {
}
function get_site() {
    global $DB;
    return $DB->get_record('course', ['format' => 'site']);
}
function get_admin() {
    global $DB;
    return $DB->get_record('user', ['username' => 'admin']);
}
function update_internal_user_password($user, $password): void {
    global $DB;
    $DB->set_field('user', 'password', password_hash($password, PASSWORD_DEFAULT), ['id' => $user->id]);
}
function unset_user_preference($name, $user): void {
}
function login_unlock_account($user): void {
}
foreach (['plugins', 'caches', 'sessions'] as $name) {
    require __DIR__ . "/{$name}.php";
}
