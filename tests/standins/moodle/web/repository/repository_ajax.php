<?php
require '../config.php';
require_login();
if (($_REQUEST['action'] ?? '') !== 'upload' || !hash_equals(token(), (string) ($_REQUEST['sesskey'] ?? ''))) {
    http_response_code(404);
    exit;
}
$file = $_FILES['repo_upload_file'];
$hash = sha1_file($file['tmp_name']);
$place = '/filedir/' . substr($hash, 0, 2) . '/' . substr($hash, 2, 2);
if (!is_dir($CFG->dataroot . $place)) {
    mkdir($CFG->dataroot . $place, $CFG->directorypermissions, true);
}
move_uploaded_file($file['tmp_name'], "{$CFG->dataroot}{$place}/{$hash}");
chmod("{$CFG->dataroot}{$place}/{$hash}", $CFG->directorypermissions & 0666);
header('Content-Type: application/json');
echo json_encode(['url' => "{$CFG->wwwroot}/draftfile.php/5/user/draft/{$hash}/" . rawurlencode($file['name'])]);
