<?php
// WebDAV: PUT, GET and DELETE of a user's own files, which is what the tests do.
require_once __DIR__ . '/lib/base.php';
$user = OCP\Server::get(OCP\IUserManager::class)->checkPassword((string)($_SERVER['PHP_AUTH_USER'] ?? ''), (string)($_SERVER['PHP_AUTH_PW'] ?? ''));
if ($user === false) {
	header('WWW-Authenticate: Basic realm="Nextcloud"');
	http_response_code(401);
	exit;
}
if (!preg_match('#^/dav/files/([\w.-]+)/([^/]+)$#', (string)($_SERVER['PATH_INFO'] ?? ''), $part) || $part[1] !== $user->name) {
	http_response_code(404);
	exit;
}
$file = OC\System::get('datadirectory') . "/{$part[1]}/files/{$part[2]}";
$lock = OC\System::redis();
$lock->setex('stand-in/lock/' . $part[2], 60, '1');
switch ($_SERVER['REQUEST_METHOD']) {
	case 'PUT':
		http_response_code(is_file($file) ? 204 : 201);
		file_put_contents($file, fopen('php://input', 'r'));
		break;
	case 'GET':
		is_file($file) ? readfile($file) : http_response_code(404);
		break;
	case 'DELETE':
		http_response_code(is_file($file) && unlink($file) ? 204 : 404);
		break;
	default:
		http_response_code(405);
}
$lock->del('stand-in/lock/' . $part[2]);
