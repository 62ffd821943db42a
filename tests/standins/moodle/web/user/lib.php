<?php
function user_create_user($user, $updatepassword = true) {
    return $GLOBALS['DB']->insert_record('user', [
        'username' => $user->username, 'password' => password_hash($user->password, PASSWORD_DEFAULT), 'email' => $user->email,
    ]);
}
function user_delete_user($user) {
    $GLOBALS['DB']->set_field('user', 'deleted', 1, ['id' => $user->id]);
    return true;
}
