<?php
namespace core_cache;

class store {
    const MODE_APPLICATION = 1;
    const MODE_SESSION = 2;
    const MODE_REQUEST = 4;
}
class config {
    protected array $kept = ['stores' => [], 'modemappings' => []];
    public static function instance(): static {
        $made = new static();
        $file = $GLOBALS['CFG']->dataroot . '/muc/config.php';
        if (file_exists($file)) {
            include $file;
            $made->kept = $configuration;
        }
        return $made;
    }
    public function get_all_stores(): array {
        return $this->kept['stores'];
    }
    public function get_mode_mappings(): array {
        return $this->kept['modemappings'];
    }
}
class config_writer extends config {
    public function add_store_instance($name, $plugin, array $configuration = []) {
        $redis = new \Redis();
        $redis->connect($configuration['server'], 0);
        $this->kept['stores'][$name] = ['name' => $name, 'plugin' => $plugin, 'configuration' => $configuration];
        $this->save();
    }
    public function edit_store_instance($name, $plugin, $configuration) {
        $this->add_store_instance($name, $plugin, $configuration);
    }
    public function set_mode_mappings(array $mappings) {
        $this->kept['modemappings'] = [];
        foreach ($mappings as $mode => $stores) {
            foreach ($stores as $store) {
                $this->kept['modemappings'][] = ['store' => $store, 'mode' => $mode, 'sort' => 0];
            }
        }
        $this->save();
    }
    private function save(): void {
        \make_upload_directory('muc');
        $text = "<?php\n\$configuration = " . var_export($this->kept, true) . ";\n";
        file_put_contents($GLOBALS['CFG']->dataroot . '/muc/config.php', $text);
    }
}
class helper {
    public static function purge_all(): void {
    }
}
