<?php
// What pages have in common.

header('Cache-Control: no-store');
if (file_exists("{$CFG->dataroot}/climaintenance.html") || !empty($CFG->maintenance_enabled)) {
    http_response_code(503);
    exit('This site is undergoing maintenance');
}
if (!str_contains($_SERVER['SERVER_SOFTWARE'] ?? '', 'nginx')) {
    http_response_code(500);
    exit('Web server software is not supported');
}
function page(string $title, string $body): never {
    header('X-Frame-Options: sameorigin');
    echo '<!DOCTYPE html><html lang="', $GLOBALS['CFG']->lang ?? 'en', '"><title>', htmlspecialchars($title), '</title>',
        '<link rel="icon" href="data:,"><h1>', htmlspecialchars($title), '</h1>', $body;
    exit;
}
function token(): string {
    return hash_hmac('sha256', gmdate('Ymd'), php_uname('n'));
}
function require_login() {
    $user = \core\session\manager::user();
    if (!$user) {
        header("Location: {$GLOBALS['CFG']->wwwroot}/login/index.php", true, 303);
        exit;
    }
    return $user;
}
