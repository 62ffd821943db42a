<?php
require 'config.php';
http_response_code(404);
page('Not found', '');
