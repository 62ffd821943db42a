<?php
// What must be done inside Moodle, as its own user. What is asked comes in on standard input as JSON.
//
//   php-moodle moodle.php run       one of Moodle's own programs, with arguments that no list of processes shows
//   php-moodle moodle.php settle    what stands in Moodle's database; one line for each change
//   php-moodle moodle.php password  the administrator's password
//   php-moodle moodle.php checks    Moodle's own checks of its status: what each says, as JSON

$asked = json_decode(stream_get_contents(STDIN), true, 32, JSON_THROW_ON_ERROR);

if ($argv[1] === 'run') {
    $_SERVER['argv'] = $argv = [$asked['program'], ...$asked['arguments']];
    $_SERVER['argc'] = $argc = count($argv);
    $_SERVER['SCRIPT_NAME'] = $_SERVER['SCRIPT_FILENAME'] = $_SERVER['PHP_SELF'] = $asked['program'];
    chdir(dirname($asked['program']));
    require $asked['program'];
    exit(0);
}

define('CLI_SCRIPT', true);
if ($argv[1] === 'checks') {
    require '/opt/moodle/current/config.php';
    $found = [];
    foreach (\core\check\manager::get_checks('status') as $check) {
        try {
            $found[$check->get_ref()] = $check->get_result()->get_status();
        } catch (Throwable $error) {
            $found[$check->get_ref()] = 'error';
        }
    }
    echo json_encode($found), "\n";
    exit(0);
}
require $asked['config'] ?? $asked['release'] . '/config.php';
require_once $CFG->libdir . '/adminlib.php';
require_once $CFG->libdir . '/filterlib.php';

if ($argv[1] === 'password') {
    $admin = $DB->get_record('user', ['username' => 'admin', 'deleted' => 0], '*', MUST_EXIST);
    update_internal_user_password($admin, $asked['password']);
    // Whoever is logged in with the old one is not any more.
    if (method_exists('\core\session\manager', 'destroy_user_sessions')) {
        \core\session\manager::destroy_user_sessions($admin->id);
    } else {
        \core\session\manager::kill_user_sessions($admin->id);
    }
    unset_user_preference('auth_forcepasswordchange', $admin);
    login_unlock_account($admin);
    exit(0);
}

$check = $asked['check'];

/** Tells of a change, and whether to make it. */
function say(string $text): bool {
    global $check;
    echo $text, "\n";
    return !$check;
}

/** A change for which Moodle's own setting may be another later: it is made when what is wanted is new. */
function once(string $name, string $wanted, string $text, callable $change): void {
    if ((string) get_config('provision', $name) !== $wanted && say($text)) {
        $change();
        set_config($name, $wanted, 'provision');
    }
}

// An installation that broke off in its last seconds has no defaults yet.
if (!get_config('provision', 'installed') && say('finish the installation')) {
    \core\session\manager::set_user(get_admin());
    admin_apply_default_settings(null, false);
    set_config('installed', time(), 'provision');
}

once('title', $asked['title'], 'name the site', function () use ($asked, $DB) {
    $site = get_site();
    $DB->update_record('course', (object) [
        'id' => $site->id, 'fullname' => $asked['title'], 'shortname' => core_text::substr($asked['title'], 0, 100),
    ]);
    course_modinfo::clear_instance_cache();
    rebuild_course_cache($site->id, true);
});

once('email', $asked['email'], 'write to the administrator at the address of the municipality', function () use ($asked, $DB) {
    $DB->set_field('user', 'email', $asked['email'], ['username' => 'admin', 'deleted' => 0]);
});

// Caches.
$store = ['server' => '/run/redis-moodle_cache/redis.sock', 'prefix' => 'moodle_', 'serializer' => 1, 'compressor' => 0];
$caches = \core_cache\config::instance();
$found = $caches->get_all_stores()['provision'] ?? null;
$kept = $found !== null && array_intersect_key($found['configuration'], $store) == $store;
$mapped = [];
foreach ($caches->get_mode_mappings() as $mapping) {
    $mapped[$mapping['mode']][] = $mapping['store'];
}
$modes = [\core_cache\store::MODE_APPLICATION, \core_cache\store::MODE_SESSION];
foreach ($modes as $mode) {
    $kept = $kept && ($mapped[$mode] ?? []) === ['provision'];
}
if (!$kept && say('keep caches in Redis')) {
    $writer = \core_cache\config_writer::instance();
    if ($found === null) {
        $writer->add_store_instance('provision', 'redis', $store);
    } else {
        $writer->edit_store_instance('provision', 'redis', $store);
    }
    $writer->set_mode_mappings([
        \core_cache\store::MODE_APPLICATION => ['provision'],
        \core_cache\store::MODE_SESSION => ['provision'],
        \core_cache\store::MODE_REQUEST => $mapped[\core_cache\store::MODE_REQUEST] ?? ['default_request'],
    ]);
    \core_cache\helper::purge_all();
}

// Parts of Moodle that speak with others, in the browser or on the server.
$wanted = $asked['mathjax'] ? TEXTFILTER_ON : TEXTFILTER_DISABLED;
$states = filter_get_global_states();
if ((int) ($states['mathjaxloader']->active ?? TEXTFILTER_DISABLED) !== $wanted
        && say(($asked['mathjax'] ? 'show' : 'do not show') . ' formulas by MathJax')) {
    filter_set_global_state('mathjaxloader', $wanted);
}
$types = $DB->get_records_menu('repository', null, '', 'type, visible');
foreach (['url', 'wikimedia', 'youtube', 'flickr_public'] as $type) {
    if (!$asked['external_content'] && !empty($types[$type]) && say("take no files from others: {$type}")) {
        \core\plugininfo\repository::enable_plugin($type, \core\plugininfo\repository::REPOSITORY_OFF);
    }
}
if ($DB->get_field('message_processors', 'enabled', ['name' => 'airnotifier'])
        && say('send no push messages')) {
    \core\plugininfo\message::enable_plugin('airnotifier', 0);
}
$visible = (int) $DB->get_field('modules', 'visible', ['name' => 'bigbluebuttonbn']);
if ($visible !== (int) $asked['bigbluebutton']
        && say(($asked['bigbluebutton'] ? 'offer' : 'do not offer') . ' video rooms of BigBlueButton')) {
    \core\plugininfo\mod::enable_plugin('bigbluebuttonbn', (int) $asked['bigbluebutton']);
}

// Links to what else the school has. Lines that the school wrote itself stay.
$links = implode("\n", $asked['links']);
if ((string) get_config('provision', 'links') !== $links && say('link what else the school has')) {
    $ours = array_filter(explode("\n", (string) get_config('provision', 'links')));
    $lines = array_diff(array_filter(array_map('trim', explode("\n", (string) $CFG->custommenuitems))), $ours, $asked['links']);
    set_config('custommenuitems', implode("\n", [...$lines, ...$asked['links']]));
    set_config('links', $links, 'provision');
}

// The language of the school.
$language = clean_param($asked['language'], PARAM_SAFEDIR);
if ($language !== 'en') {
    $there = "{$CFG->dataroot}/lang/{$language}/langconfig.php";
    // What came is what artifacts.lock holds; a server fetches none itself, since a pack is programs.
    $pack = $asked['language_pack'] ?? '';
    if ($pack !== '' && say("install the language pack {$language}")) {
        make_upload_directory('lang');
        remove_dir("{$CFG->dataroot}/lang/{$language}");
        if (!get_file_packer('application/zip')->extract_to_pathname($pack, "{$CFG->dataroot}/lang")) {
            fwrite(STDERR, "the language pack {$language} cannot be unpacked\n");
            exit(1);
        }
        set_config('languageof', "{$language} {$CFG->branch}", 'provision');
    }
    if (file_exists($there)) {
        once('language', $language, "speak {$language}", function () use ($language) {
            get_string_manager()->reset_caches();
            set_config('lang', $language);
        });
    }
}

// What config.php forces, as Moodle reads it.
$wrong = [];
foreach ($asked['settings'] as $name => $value) {
    if (get_config('core', $name) !== $value && (string) get_config('core', $name) !== (string) $value) {
        $wrong[] = $name;
    }
}
foreach ($asked['plugin_settings'] as $component => $settings) {
    foreach ($settings as $name => $value) {
        if ((string) get_config($component, $name) !== (string) $value) {
            $wrong[] = "{$component}/{$name}";
        }
    }
}
foreach ($asked['tasks_off'] as $class) {
    $task = \core\task\manager::get_scheduled_task($class);
    if ($task && !$task->get_disabled()) {
        $wrong[] = $class;
    }
}
if ($wrong) {
    fwrite(STDERR, 'Moodle does not follow config.php in: ' . implode(', ', $wrong) . "\n");
    exit(1);
}
