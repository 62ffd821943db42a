<?php
require '../config.php';
require_login();
$course = $DB->get_record('course', ['id' => (int) $_GET['id']], '*', MUST_EXIST);
page($course->fullname, '');
