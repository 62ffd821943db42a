<?php
namespace core\session;

class manager {
    private static function redis(): \Redis {
        $redis = new \Redis();
        $redis->connect($GLOBALS['CFG']->session_redis_host, 0);
        return $redis;
    }
    public static function set_user($user): void {
        $GLOBALS['USER'] = $user;
    }
    public static function start(int $user): void {
        $id = bin2hex(random_bytes(16));
        self::redis()->setex("session_{$id}", (int) $GLOBALS['CFG']->sessiontimeout, (string) $user);
        setcookie('MoodleSession', $id, ['path' => '/', 'secure' => true, 'httponly' => true]);
    }
    public static function user() {
        $id = self::redis()->get('session_' . ($_COOKIE['MoodleSession'] ?? ''));
        return $id ? $GLOBALS['DB']->get_record('user', ['id' => $id, 'deleted' => 0]) : false;
    }
    public static function destroy_user_sessions($id): void {
        $redis = self::redis();
        foreach ($redis->keys('session_*') as $key) {
            if ($redis->get($key) === (string) $id) {
                $redis->del($key);
            }
        }
    }
}
