<?php
require '../config.php';
require_login();
header("Location: {$CFG->wwwroot}/my/", true, 303);
