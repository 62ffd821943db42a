<?php
namespace core\plugininfo;

class repository {
    const REPOSITORY_ON = 1;
    const REPOSITORY_OFF = 0;
    const REPOSITORY_DISABLED = -1;
    public static function enable_plugin(string $name, int $enabled): bool {
        $GLOBALS['DB']->set_field('repository', 'visible', $enabled, ['type' => $name]);
        return true;
    }
}
class message {
    public static function enable_plugin(string $name, int $enabled): bool {
        $GLOBALS['DB']->set_field('message_processors', 'enabled', $enabled, ['name' => $name]);
        return true;
    }
}
class mod {
    public static function enable_plugin(string $name, int $enabled): bool {
        $GLOBALS['DB']->set_field('modules', 'visible', $enabled, ['name' => $name]);
        return true;
    }
}

namespace core\check;

class standin_check {
    public function __construct(private string $ref, private bool $well) {
    }
    public function get_ref(): string {
        return $this->ref;
    }
    public function get_result(): standin_check {
        return $this;
    }
    public function get_status(): string {
        return $this->well ? 'ok' : 'critical';
    }
}
class manager {
    public static function get_checks(string $type): array {
        global $CFG;
        require $CFG->dirroot . '/version.php';
        return [
            new standin_check('core_upgradecheck', $version == $CFG->version),
            new standin_check('tool_task_cronrunning', get_config('tool_task', 'lastcronstart') > time() - 600),
        ];
    }
}

namespace core\task;

class standin_task {
    public function __construct(private string $class) {
    }
    public function get_disabled(): bool {
        return !empty($GLOBALS['CFG']->scheduled_tasks[$this->class]['disabled']);
    }
}
class manager {
    public static function get_scheduled_task(string $class) {
        return new standin_task($class);
    }
}
