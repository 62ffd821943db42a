<?php
require_once __DIR__ . '/lib/base.php';
if (PHP_SAPI !== 'cli') {
	echo 'Backgroundjobs are using system cron!';
	exit(1);
}
if (OC\System::get('installed', false) && !OC\System::get('maintenance', false)) {
	OC\System::redis()->setex('stand-in/cron', 600, '1');
	OCP\Server::get(OCP\IAppConfig::class)->deleteKey('core', 'lastcron');
	OC\System::rows("INSERT INTO oc_appconfig (appid, configkey, configvalue, type) VALUES ('core', 'lastcron', ?, 8)", [(string)time()]);
}
