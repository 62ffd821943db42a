<?php
function create_course($data) {
    global $DB;
    $data->id = $DB->insert_record('course', ['fullname' => $data->fullname, 'shortname' => $data->shortname, 'format' => 'topics']);
    return $data;
}
function delete_course($course, $feedback = true) {
    $GLOBALS['DB']->delete_records('course', ['id' => is_object($course) ? $course->id : $course]);
    return true;
}
