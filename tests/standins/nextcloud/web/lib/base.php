<?php
// The parts of Nextcloud's own interfaces that provision's program uses, over PostgreSQL as upstream has it.

declare(strict_types=1);

namespace {
	class OC {
		public static string $SERVERROOT = '';
	}
	OC::$SERVERROOT = dirname(__DIR__);
}

namespace OC {
	use PDO;

	/** Settings: config.php, then each *.config.php beside it. */
	class System {
		public static array $values = [];
		private static ?PDO $connection = null;

		public static function place(): string {
			return dirname(__DIR__) . '/config';
		}

		public static function read(): void {
			self::$values = [];
			foreach ([self::place() . '/config.php', ...glob(self::place() . '/*.config.php')] as $file) {
				$CONFIG = [];
				if (is_file($file)) {
					include $file;
				}
				self::$values = array_merge(self::$values, $CONFIG);
			}
		}

		public static function write(array $values): void {
			self::$values = array_merge(self::$values, $values);
			$text = "<?php\n\$CONFIG = " . var_export(self::$values, true) . ";\n";
			if (file_put_contents(self::place() . '/config.php', $text, LOCK_EX) === false) {
				throw new \RuntimeException('Cannot write into "config" directory');
			}
			chmod(self::place() . '/config.php', 0640);
		}

		public static function get(string $key, mixed $default = null): mixed {
			return self::$values[$key] ?? $default;
		}

		public static function database(): PDO {
			if (self::$connection === null) {
				$place = 'pgsql:host=' . self::get('dbhost') . ';dbname=' . self::get('dbname');
				self::$connection = new PDO($place, self::get('dbuser'), self::get('dbpassword'));
			}
			return self::$connection;
		}

		public static function rows(string $sql, array $values = []): array {
			$statement = self::database()->prepare($sql);
			$statement->execute($values);
			return $statement->fetchAll(PDO::FETCH_ASSOC);
		}

		public static function version(): array {
			include dirname(__DIR__) . '/version.php';
			return [implode('.', $OC_Version), $OC_VersionString];
		}

		public static function status(): array {
			[$version, $name] = self::version();
			return [
				'installed' => self::get('installed', false),
				'maintenance' => self::get('maintenance', false),
				'needsDbUpgrade' => self::get('version') !== null && self::get('version') !== $version,
				'version' => $version,
				'versionstring' => $name,
				'edition' => '',
				'productname' => 'Nextcloud',
				'extendedSupport' => false,
			];
		}

		public static function redis(): \Redis {
			$redis = new \Redis();
			$redis->connect(self::get('redis')['host'], self::get('redis')['port']);
			return $redis;
		}
	}
	System::read();
}

namespace OCP {
	use OC\System;

	class Server {
		private static array $made = [];

		public static function get(string $class): object {
			return self::$made[$class] ??= new $class();
		}
	}

	class IConfig {
		public function getSystemValueString(string $key): string {
			return (string)System::get($key, '');
		}

		public function getSystemValue(string $key, mixed $default = ''): mixed {
			return System::get($key, $default);
		}

		public function setSystemValue(string $key, mixed $value): void {
			System::write([$key => $value]);
		}
	}

	class IAppConfig {
		public const VALUE_MIXED = 2;
		public const VALUE_STRING = 4;
		public const VALUE_INT = 8;
		public const VALUE_BOOL = 32;
		/** Those that upstream's list of known keys (ConfigLexicon) has as booleans. */
		private const BOOLEANS = [
			'core' => [
				'ocm_discovery_enabled', 'shareapi_allow_federation_on_public_shares', 'shareapi_default_expire_date',
				'shareapi_enable_link_password_by_default', 'shareapi_enforce_expire_date', 'shareapi_enforce_links_password',
			],
		];

		public function getKeyDetails(string $app, string $key): array {
			return in_array($key, self::BOOLEANS[$app] ?? [], true) ? ['valueTypeName' => 'BOOL'] : [];
		}

		public function hasKey(string $app, string $key, ?bool $lazy = false): bool {
			return (bool)System::rows('SELECT 1 FROM oc_appconfig WHERE appid = ? AND configkey = ?', [$app, $key]);
		}

		public function getDetails(string $app, string $key): array {
			$sql = 'SELECT configvalue AS value, type FROM oc_appconfig WHERE appid = ? AND configkey = ?';
			return System::rows($sql, [$app, $key])[0];
		}

		public function deleteKey(string $app, string $key): void {
			System::rows('DELETE FROM oc_appconfig WHERE appid = ? AND configkey = ?', [$app, $key]);
		}

		private function set(string $app, string $key, string $value, int $type): bool {
			if (in_array($key, self::BOOLEANS[$app] ?? [], true) !== ($type === self::VALUE_BOOL) && $app === 'core') {
				throw new \RuntimeException("The app config key $app/$key is typed incorrectly in relation to the config lexicon");
			}
			$known = $this->hasKey($app, $key) ? $this->getDetails($app, $key)['type'] : $type;
			if ($known !== $type) {
				throw new \RuntimeException("conflict between new type ($type) and old type ($known)");
			}
			System::rows(
				'INSERT INTO oc_appconfig (appid, configkey, configvalue, type) VALUES (?, ?, ?, ?)
				 ON CONFLICT (appid, configkey) DO UPDATE SET configvalue = excluded.configvalue',
				[$app, $key, $value, $type]
			);
			return true;
		}

		public function setValueString(string $app, string $key, string $value): bool {
			return $this->set($app, $key, $value, self::VALUE_STRING);
		}

		public function setValueInt(string $app, string $key, int $value): bool {
			return $this->set($app, $key, (string)$value, self::VALUE_INT);
		}

		public function setValueBool(string $app, string $key, bool $value): bool {
			return $this->set($app, $key, $value ? '1' : '0', self::VALUE_BOOL);
		}
	}

	class User {
		public function __construct(public string $name) {
		}

		public function setDisplayName(string $name): bool {
			return true;
		}

		public function getQuota(): string {
			return (string)System::rows('SELECT quota FROM oc_users WHERE uid = ?', [$this->name])[0]['quota'];
		}

		public function setQuota(string $quota): void {
			System::rows('UPDATE oc_users SET quota = ? WHERE uid = ?', [$quota, $this->name]);
		}

		public function isEnabled(): bool {
			return true;
		}

		public function setPassword(string $password): bool {
			if (strlen($password) < 10) {
				throw new \RuntimeException('Password needs to be at least 10 characters long.');
			}
			System::rows('UPDATE oc_users SET password = ? WHERE uid = ?', [password_hash($password, PASSWORD_DEFAULT), $this->name]);
			return true;
		}
	}

	class IUserManager {
		public function get(string $name): ?User {
			return System::rows('SELECT 1 FROM oc_users WHERE uid = ?', [$name]) ? new User($name) : null;
		}

		public function createUser(string $name, string $password): User {
			System::rows("INSERT INTO oc_users (uid, password) VALUES (?, '')", [$name]);
			$user = new User($name);
			$user->setPassword($password);
			@mkdir(System::get('datadirectory') . "/$name/files", 0750, true);
			return $user;
		}

		public function checkPassword(string $name, string $password): User|false {
			$rows = System::rows('SELECT password FROM oc_users WHERE uid = ?', [$name]);
			$sum = hash('sha512', $password);
			if (System::rows('SELECT 1 FROM oc_authtoken WHERE uid = ? AND token = ?', [$name, $sum])) {
				return new User($name);
			}
			return $rows && password_verify($password, $rows[0]['password']) ? new User($name) : false;
		}
	}

	class Group {
		public function __construct(private string $name) {
		}

		public function inGroup(User $user): bool {
			return (bool)System::rows('SELECT 1 FROM oc_group_user WHERE gid = ? AND uid = ?', [$this->name, $user->name]);
		}

		public function addUser(User $user): void {
			System::rows('INSERT INTO oc_group_user (gid, uid) VALUES (?, ?)', [$this->name, $user->name]);
		}
	}

	class IGroupManager {
		public function get(string $name): Group {
			return new Group($name);
		}
	}
}

namespace OCP\Authentication\Exceptions {
	class InvalidTokenException extends \Exception {
	}
}

namespace OCP\Authentication\Token {
	class IToken {
		public const PERMANENT_TOKEN = 1;
		public const DO_NOT_REMEMBER = 0;

		public function __construct(private string $name) {
		}

		public function getUID(): string {
			return $this->name;
		}
	}
}

namespace OC\Authentication\Token {
	use OC\System;
	use OCP\Authentication\Exceptions\InvalidTokenException;
	use OCP\Authentication\Token\IToken;

	class IProvider {
		public function getToken(string $token): IToken {
			$rows = System::rows('SELECT uid FROM oc_authtoken WHERE token = ?', [hash('sha512', $token)]);
			return new IToken($rows[0]['uid'] ?? throw new InvalidTokenException('Token does not exist'));
		}

		public function invalidateTokensOfUser(string $name, ?string $client): void {
			System::rows('DELETE FROM oc_authtoken WHERE uid = ?', [$name]);
		}

		public function generateToken(
			string $token, string $name, string $login, ?string $password, string $title, int $type, int $remember,
		): IToken {
			System::rows('INSERT INTO oc_authtoken (uid, token) VALUES (?, ?)', [$name, hash('sha512', $token)]);
			return new IToken($name);
		}
	}
}

namespace OCP\App {
	use OC\System;

	class AppPathNotFoundException extends \Exception {
	}

	class IAppManager {
		public function getEnabledApps(): array {
			$sql = "SELECT appid FROM oc_appconfig WHERE configkey = 'enabled' AND configvalue <> 'no' ORDER BY appid";
			return array_column(System::rows($sql), 'appid');
		}

		public function getAlwaysEnabledApps(): array {
			return ['dav', 'files'];
		}

		public function getAppPath(string $app): string {
			foreach (System::get('apps_paths', []) as $place) {
				if (is_dir($place['path'] . '/' . $app)) {
					return $place['path'] . '/' . $app;
				}
			}
			throw new AppPathNotFoundException("Could not find path for $app");
		}

		public function isEnabledForAnyone(string $app): bool {
			$sql = "SELECT configvalue FROM oc_appconfig WHERE appid = ? AND configkey = 'enabled'";
			return (System::rows($sql, [$app])[0]['configvalue'] ?? 'no') === 'yes';
		}

		public function set(string $app, bool $on): void {
			System::rows(
				"INSERT INTO oc_appconfig (appid, configkey, configvalue, type) VALUES (?, 'enabled', ?, 4)
				 ON CONFLICT (appid, configkey) DO UPDATE SET configvalue = excluded.configvalue",
				[$app, $on ? 'yes' : 'no']
			);
		}
	}
}
