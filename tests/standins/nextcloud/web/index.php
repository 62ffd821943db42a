<?php
// Login, and an upload, as a browser does them.
require_once __DIR__ . '/lib/base.php';
session_start();
// An app's page is that of its folder as well, to which the web server sends browsers.
$path = rtrim(preg_replace('#^/index\.php#', '', (string)parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)), '/');
$name = $_SESSION['name'] ?? null;
$see = static function (string $place): void {
	header("Location: $place", true, 303);
};

if ($path === '/login' && $_SERVER['REQUEST_METHOD'] === 'POST') {
	$user = OCP\Server::get(OCP\IUserManager::class)->checkPassword((string)$_POST['user'], (string)$_POST['password']);
	if ($user !== false) {
		session_regenerate_id(true);
		$_SESSION['name'] = $user->name;
	}
	$see($user === false ? '/login' : '/apps/files');
} elseif ($path === '/login') {
	$_SESSION['seen'] = true;
	echo '<!DOCTYPE html><title>Stand-in</title><form method="post"><input id="user" name="user">',
		'<input id="password" name="password" type="password"><button type="submit">Log in</button></form>';
} elseif ($path === '') {
	header('Location: ' . ($name === null ? '/login' : '/apps/files'), true, 302);
} elseif ($path === '/apps/files' && $name !== null) {
	if (isset($_FILES['file'])) {
		$place = OC\System::get('datadirectory') . "/$name/files/" . basename($_FILES['file']['name']);
		move_uploaded_file($_FILES['file']['tmp_name'], $place);
	}
	echo '<!DOCTYPE html><title>Stand-in</title><form method="post" enctype="multipart/form-data">',
		'<input type="file" name="file" data-cy-upload-picker-input onchange="form.submit()"></form>';
} else {
	http_response_code(404);
	echo 'not found';
}
