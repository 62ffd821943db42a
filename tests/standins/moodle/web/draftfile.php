<?php
require 'config.php';
require_login();
$hash = preg_replace('/[^0-9a-f]/', '', explode('/', $_SERVER['PATH_INFO'])[4]);
header('Content-Type: application/octet-stream');
header("X-Accel-Redirect: /filedir/" . substr($hash, 0, 2) . '/' . substr($hash, 2, 2) . "/{$hash}");
