<?php
require_once __DIR__ . '/lib/base.php';
$path = preg_replace('#^/index\.php#', '', (string)parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
if ($path === '/login') {
	session_start();
	$_SESSION['seen'] = true;
	header("Content-Security-Policy: default-src 'self'");
	echo '<!DOCTYPE html><title>Stand-in</title><form method="post"><input name="user"><input name="password" type="password"></form>';
} elseif ($path === '' || $path === '/') {
	header('Location: /login', true, 302);
} else {
	http_response_code(404);
	echo 'not found';
}
