<?php
// Reads and sets what provision wants of Nextcloud, with Nextcloud's own functions, in one start of it. What is wanted comes as
// JSON through standard input, so that no password stands on a command line. It prints one line for each thing that it changes;
// with --check it changes nothing. Called by provision-nextcloud, as the user nextcloud.
//
//     provision-nextcloud.php settings [--check]   {"enable": [app...], "disable": [app...], "values": {app: {key: [type, value]}},
//                                                "system": {key: value}, "probe": {"user": "...", "token": "..."}}
//     provision-nextcloud.php password [--check]   {"user": "...", "password": "..."}

declare(strict_types=1);

use OC\Authentication\Token\IProvider;
use OCP\App\AppPathNotFoundException;
use OCP\App\IAppManager;
use OCP\Authentication\Exceptions\InvalidTokenException;
use OCP\Authentication\Token\IToken;
use OCP\IAppConfig;
use OCP\IConfig;
use OCP\IGroupManager;
use OCP\IUserManager;
use OCP\Server;

define('OC_CONSOLE', 1);
$command = $argv[1] ?? '';
$check = in_array('--check', $argv, true);
$wanted = json_decode((string)stream_get_contents(STDIN), true, 16, JSON_THROW_ON_ERROR);

// Nextcloud looks at the arguments and at the name of the program that runs.
$_SERVER['argv'] = $argv = ['occ'];
$_SERVER['SCRIPT_FILENAME'] = '/opt/nextcloud/current/occ';
require_once '/opt/nextcloud/current/lib/versioncheck.php';
require_once '/opt/nextcloud/current/lib/base.php';
// Nextcloud's own handlers would only write to its log.
set_exception_handler(static function (Throwable $error): void {
	fwrite(STDERR, $error->getMessage() . "\n");
	exit(1);
});
set_error_handler(static function (int $level, string $message, string $file): bool {
	if ($file === __FILE__ && (error_reporting() & $level) !== 0) {
		throw new ErrorException($message);
	}
	return false;
});

/** The type and the text that a value has in the database. */
function stored(IAppConfig $config, string $app, string $key, string $type, mixed $value): array {
	if ($type === 'switch') {
		// Newer releases know some of these as booleans, and say so themselves.
		$known = method_exists($config, 'getKeyDetails') ? ($config->getKeyDetails($app, $key)['valueTypeName'] ?? '') : '';
		return $known === 'BOOL' ? [IAppConfig::VALUE_BOOL, $value ? '1' : '0'] : [IAppConfig::VALUE_STRING, $value ? 'yes' : 'no'];
	}
	return match ($type) {
		'boolean' => [IAppConfig::VALUE_BOOL, $value ? '1' : '0'],
		'integer' => [IAppConfig::VALUE_INT, (string)$value],
		'string' => [IAppConfig::VALUE_STRING, (string)$value],
	};
}

/** Sets one value; true when it was another one, or had another type. */
function settle(IAppConfig $config, string $app, string $key, array $want, bool $check): bool {
	[$type, $text] = stored($config, $app, $key, ...$want);
	if ($config->hasKey($app, $key, null)) {
		$is = $config->getDetails($app, $key);
		if ($is['type'] === $type && $is['value'] === $text) {
			return false;
		}
		// A type cannot be changed in place.
		if ($is['type'] !== $type && !$check) {
			$config->deleteKey($app, $key);
		}
	}
	if (!$check) {
		match ($type) {
			IAppConfig::VALUE_BOOL => $config->setValueBool($app, $key, $text === '1'),
			IAppConfig::VALUE_INT => $config->setValueInt($app, $key, (int)$text),
			IAppConfig::VALUE_STRING => $config->setValueString($app, $key, $text),
		};
	}
	return true;
}

function settings(array $wanted, bool $check): void {
	$apps = Server::get(IAppManager::class);
	$enabled = static fn (string $app): bool
		=> method_exists($apps, 'isEnabledForAnyone') ? $apps->isEnabledForAnyone($app) : $apps->isInstalled($app);
	// The apps themselves are switched by occ, which this program's caller starts.
	foreach ($wanted['enable'] as $app) {
		if (!$enabled($app)) {
			echo "app:enable $app\n";
		}
	}
	foreach ($wanted['disable'] as $app) {
		if ($enabled($app)) {
			echo "app:disable $app\n";
		}
	}
	foreach (orphans($apps, array_merge($wanted['enable'], $wanted['disable'])) as $app) {
		echo "app:disable $app\n";
	}
	// The installer leaves it to whoever comes first, and the periodic jobs complain when it is they.
	$system = Server::get(IConfig::class);
	if ($system->getSystemValueString('instanceid') === '') {
		echo "value instanceid\n";
		if (!$check) {
			$system->setSystemValue('instanceid', 'oc' . bin2hex(random_bytes(5)));
		}
	}
	// What provision.config.php says, as Nextcloud reads it: another file beside it could say otherwise. A plan comes before that
	// file is written.
	$wrong = [];
	foreach ($check ? [] : $wanted['system'] as $key => $value) {
		if (!alike($system->getSystemValue($key, null), $value)) {
			$wrong[] = $key;
		}
	}
	if ($wrong) {
		throw new RuntimeException('Nextcloud does not follow provision.config.php in: ' . implode(', ', $wrong));
	}
	$config = Server::get(IAppConfig::class);
	foreach ($wanted['values'] as $app => $values) {
		foreach ($values as $key => $want) {
			if (settle($config, $app, $key, $want, $check)) {
				echo "value $app $key\n";
			}
		}
	}
	account($wanted['probe']['user'], $wanted['probe']['token'], $check);
}

/** Whether two values are the same, with their types; the order of names does not count. */
function alike(mixed $one, mixed $other): bool {
	if (!is_array($one) || !is_array($other)) {
		return $one === $other;
	}
	ksort($one);
	ksort($other);
	return array_keys($one) === array_keys($other) && !in_array(false, array_map('alike', $one, $other), true);
}

/**
 * Apps that are on and whose files are not there: those of the store, where it was closed since. Nextcloud would leave them out,
 * and they would be back, as old as they are then, with the store. What they kept stays.
 */
function orphans(IAppManager $apps, array $known): array {
	$on = array_diff($apps->getEnabledApps(), $known, $apps->getAlwaysEnabledApps());
	return array_filter($on, static function (string $app) use ($apps): bool {
		try {
			$apps->getAppPath($app);
			return false;
		} catch (AppPathNotFoundException) {
			return true;
		}
	});
}

/** The account of the health check: nobody knows its password, it may keep next to nothing, and one token opens it. */
function account(string $name, string $token, bool $check): void {
	$users = Server::get(IUserManager::class);
	$user = $users->get($name);
	if ($user === null) {
		echo "account $name\n";
		if ($check) {
			return;
		}
		$user = $users->createUser($name, 'Aa1-' . bin2hex(random_bytes(32)));
		$user->setDisplayName('provision');
	}
	if ($user->getQuota() !== '1 MB') {
		echo "quota of $name\n";
		if (!$check) {
			$user->setQuota('1 MB');
		}
	}
	if (!$user->isEnabled()) {
		echo "enable $name\n";
		if (!$check) {
			$user->setEnabled(true);
		}
	}
	// As occ user:auth-tokens:add does it (core/Command/User/AuthTokens/Add.php).
	$tokens = Server::get(IProvider::class);
	try {
		$known = $tokens->getToken($token)->getUID() === $name;
	} catch (InvalidTokenException) {
		$known = false;
	}
	if (!$known) {
		echo "token of $name\n";
		if (!$check) {
			$tokens->invalidateTokensOfUser($name, null);
			$tokens->generateToken($token, $name, $name, null, 'provision', IToken::PERMANENT_TOKEN, IToken::DO_NOT_REMEMBER);
		}
	}
}

function password(string $name, string $password, bool $check): void {
	$users = Server::get(IUserManager::class);
	$group = Server::get(IGroupManager::class)->get('admin');
	$user = $users->get($name);
	if ($user === null) {
		echo "administrator $name\n";
		$user = $check ? null : $users->createUser($name, $password);
	} elseif ($users->checkPassword($name, $password) === false) {
		echo "password of $name\n";
		if (!$check && !$user->setPassword($password)) {
			throw new RuntimeException("Nextcloud did not take the password of $name");
		}
	}
	if ($user !== null && !$group->inGroup($user)) {
		echo "rights of $name\n";
		if (!$check) {
			$group->addUser($user);
		}
	}
}

match ($command) {
	'settings' => settings($wanted, $check),
	'password' => password($wanted['user'], $wanted['password'], $check),
};
