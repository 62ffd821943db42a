<?php
require '../config.php';
$user = require_login();
$courses = '';
foreach ($DB->query("SELECT id, fullname FROM {course} WHERE format <> 'site'") as $course) {
    $courses .= "<li><a href=\"{$CFG->wwwroot}/course/view.php?id={$course['id']}\">" . htmlspecialchars($course['fullname']) . '</a></li>';
}
page('Dashboard', "<script>var M = {}; M.cfg = {\"sesskey\":\"" . token() . "\"};</script><ul>{$courses}</ul>"
    . '<form id="logout"></form>');
