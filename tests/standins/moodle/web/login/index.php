<?php
require '../config.php';
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $user = $DB->get_record('user', ['username' => (string) ($_POST['username'] ?? ''), 'deleted' => 0]);
    if (hash_equals(token(), (string) ($_POST['logintoken'] ?? '')) && $user
            && password_verify((string) ($_POST['password'] ?? ''), $user->password)) {
        \core\session\manager::start((int) $user->id);
        header("Location: {$CFG->wwwroot}/my/", true, 303);
        exit;
    }
}
page('Log in', '<form id="login" method="post" action="' . $CFG->wwwroot . '/login/index.php"><input type="hidden" name="logintoken" value="'
    . token() . '"><input id="username" name="username"><input id="password" name="password" type="password">'
    . '<button id="loginbtn">Log in</button></form>');
