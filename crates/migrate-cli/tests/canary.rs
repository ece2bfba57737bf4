//! Canaries in every secret that a configuration can hold, and in cells: they stand in nothing that any
//! command writes.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use migrate_config::{Config, Environment};
use postgres_sandbox::{Server, ServerOptions, TestDatabase, TestServer};
use serde_json::{Value as Json, json};
use snowflake_double::{Double, Table, Type, User, Value};
use tempfile::TempDir;

use crate::support::{PASSWORD, World};

const CELL: &str = "canary-in-a-cell";
const TOKEN: &str = "canary-oauth-token";
const TAG: &str = "canary-in-a-tag";
const POSTGRES: &str = "canary-postgres-password";
const WRONG: &str = "canary-wrong-secret";
const PASSPHRASE: &str = "open-sesame";

/// A number that stands nowhere else.
const NUMBER: i64 = 8_172_635_445_362_718;

/// Each row but the first two breaks another condition of the target.
fn items() -> Table {
    let text = |words: &str| Value::from(format!("{words}{CELL}").as_str());
    let rows = [
        [Value::from(1), text("fine "), Value::from(1)],
        [Value::from(2), text("also "), Value::from(2)],
        [Value::from(3), text("check "), Value::from(-NUMBER)],
        [Value::from(4), text("unique "), Value::from(1)],
        [Value::from(5), text("raise "), Value::from(5)],
        [Value::from(6), text("null "), Value::Null],
        [Value::from(7), text(&"long ".repeat(10)), Value::from(7)],
        [Value::from(8), text("nul \0"), Value::from(8)],
        [Value::from(9), text("exclude "), Value::from(NUMBER)],
    ];
    Table::new("DB.PUBLIC.ITEMS")
        .required_column("id", Type::number(38, 0))
        .column("note", Type::varchar())
        .column("amount", Type::number(38, 0))
        .rows(rows)
}

const TARGET: &str = "\
    create table items (id bigint primary key, note varchar(40), \
        amount bigint not null unique constraint positive check (amount > 0), \
        constraint apart exclude using btree ((amount % 8172635445362717) with =)); \
    create function judge() returns trigger language plpgsql as $$ begin \
        if new.note like 'raise%' then raise exception 'this one: %', new.note using detail = new.note; end if; \
        return new; end $$; \
    create trigger judge before insert on items for each row execute function judge()";

/// Everything that was written, by where.
struct Written(Vec<(String, String)>);

impl Written {
    /// Runs a command and keeps what it says.
    async fn run(&mut self, world: &World, arguments: &[&str], code: i32) {
        let ended = world.run(&[arguments, &["--log-level", "DEBUG"]].concat()).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        self.0.push((format!("stdout of {arguments:?}"), ended.stdout));
        self.0.push((format!("stderr of {arguments:?}"), ended.stderr));
    }

    fn hold_nowhere(&self, what: &str, canary: &str) {
        for (place, text) in &self.0 {
            let at = text.find(canary);
            let around = at.map(|at| text.get(at.saturating_sub(200)..at + 80).unwrap_or(text));
            assert!(at.is_none(), "{what} stands in {place}: {around:?}");
        }
    }
}

/// A server that asks for passwords and writes down each statement of the program.
async fn server() -> (TempDir, Server) {
    let folder = TempDir::new().expect("folder");
    let rules = folder.path().join("pg_hba.conf");
    let lines = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(&rules, lines).expect("writes");
    // The server may run as another user.
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("opens");
    let options = ServerOptions::new().setting("hba_file", rules.display().to_string());
    let server = tokio::task::spawn_blocking(|| TestServer::private(options));
    (folder, server.await.expect("joins"))
}

fn key(name: &str) -> String {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrate-config/tests/fixtures/keys");
    std::fs::read_to_string(folder.join(name)).expect("a key")
}

/// The ways to log in, each with the secret in the file and through a variable.
fn logins() -> Vec<Json> {
    let user = |name: &str, secrets: Json| {
        let mut login = secrets;
        login["user"] = json!(name);
        login
    };
    vec![
        user("MOVER", json!({"password": PASSWORD})),
        user("MOVER", json!({"password": "${SF_PASSWORD}"})),
        user("BEARER", json!({"oauth_token": TOKEN})),
        user("BEARER", json!({"oauth_token": "${SF_TOKEN}"})),
        user("SIGNER", json!({"rsa_key": key("aes.p8"), "rsa_key_passphrase": PASSPHRASE})),
        user("SIGNER", json!({"rsa_key": "${SF_KEY}", "rsa_key_passphrase": "${SF_PASSPHRASE}"})),
        user("SIGNER", json!({"rsa_key": "${SF_KEY_PLAIN}"})),
    ]
}

fn environment() -> String {
    format!(
        "SF_PASSWORD={PASSWORD}\nSF_TOKEN={TOKEN}\nSF_TAG={TAG}\nSF_PASSPHRASE={PASSPHRASE}\n\
         PG_PASSWORD={POSTGRES}\nSF_KEY=\"{}\"\nSF_KEY_PLAIN=\"{}\"\n",
        key("aes.p8"),
        key("plain.p8"),
    )
}

fn config(world: &World, login: &Json, change: impl FnOnce(&mut Json)) -> Json {
    let mut config = world.config(&json!([{
        "source": "ITEMS", "target": "items", "chunking_columns": ["id"],
        "chunking_column_types": ["int"], "batch_size": 100, "truncate_onstart": true,
        "disable_index": true,
    }]));
    config["max_retry_attempts"] = json!(1);
    config["postgres"]["user"] = json!("mover");
    config["postgres"]["password"] = json!("${PG_PASSWORD}");
    let snowflake = config["snowflake"].as_object_mut().expect("an object");
    snowflake.remove("password");
    snowflake.extend(login.as_object().expect("an object").clone());
    snowflake.insert("session_parameters".into(), json!({"QUERY_TAG": "${SF_TAG}"}));
    change(&mut config);
    config
}

type Change = fn(&mut Json);

/// The places where a configuration can be wrong with a secret in hand.
fn mistakes() -> Vec<(i32, Change)> {
    vec![
        (4, |config| config["snowflake"]["password"] = json!(WRONG)),
        (4, |config| config["postgres"]["password"] = json!(WRONG)),
        (3, |config| config["postgres"]["host"] = json!(format!("postgres://mover:{WRONG}@db/x"))),
        (3, |config| config["postgres"]["host"] = json!(format!("mover:{WRONG}@db"))),
        (3, |config| config["postgres"]["url"] = json!(format!("postgres://mover:{WRONG}@db/x"))),
        (3, |config| config["snowflake"]["base_url"] = json!(format!("https://u:{WRONG}@host"))),
        (3, |config| config["snowflake"]["account"] = json!(format!("https://u:{WRONG}@host/x"))),
        (3, |config| config["snowflake"]["pasword"] = json!(WRONG)),
        (3, |config| config["snowflake"]["rsa_key"] = json!(format!("-----BEGIN {WRONG}"))),
        (3, |config| config["snowflake"]["private_key"] = json!(WRONG)),
        (3, |config| config["postgres"]["sslrootcert"] = json!({"password": WRONG})),
        (3, |config| config["sources"][0]["password"] = json!(WRONG)),
    ]
}

#[tokio::test]
async fn secrets_and_cells_stand_in_nothing_that_any_command_writes() {
    let (_rules, server) = server().await;
    let database = TestDatabase::create_on(&server).await;
    let double = Double::builder()
        .table(items())
        .user(User::oauth("BEARER", TOKEN))
        .user(User::key_pair("SIGNER", key("public.pem")));
    let world = World::in_database(database, double, TARGET).await;
    world.execute(&format!("create role mover superuser login password '{POSTGRES}'")).await;
    world.execute("alter role mover set log_statement = 'all'").await;
    std::fs::write(world.path(".env"), environment()).expect("writes");
    let mut written = Written(Vec::new());

    for login in logins() {
        world.write_config(&config(&world, &login, |_| {}));
        let loaded = Config::load(world.path("config.json"), &variables(&world)).expect("valid");
        let mut dump = format!("{loaded:?}{loaded:#?}{:?}", variables(&world));
        write!(dump, "{}", serde_json::to_string(&loaded).expect("dumps")).expect("fits");
        written.0.push(("a dump of the configuration".into(), dump));
        written.run(&world, &["plan"], 0).await;
    }
    let runs = [1, 3, 5].map(|way| logins().swap_remove(way));
    for login in &runs {
        world.write_config(&config(&world, login, |_| {}));
        for quiet in ["validate", "ddl", "repair"] {
            written.run(&world, &[quiet], 0).await;
        }
        written.run(&world, &["plan", "--all-chunks"], 0).await;
        written.run(&world, &["--dry-run"], 0).await;
        written.run(&world, &["run"], 1).await;
        // Without its constraints the table takes rows that keep them from coming back.
        world.write_config(&config(&world, login, |config| {
            config["on_bad_row"] = json!("quarantine");
        }));
        written.run(&world, &["run"], 1).await;
        written.run(&world, &["repair"], 1).await;
        world.execute("truncate items").await;
        written.run(&world, &["repair"], 0).await;
        world.write_config(&config(&world, login, |config| {
            config["on_bad_row"] = json!("quarantine");
            config["sources"][0]["tables"][0]["disable_index"] = json!(false);
        }));
        written.run(&world, &["run", "--no-resume"], 7).await;
        written.run(&world, &["retry-rejects"], 7).await;
    }
    for (code, mistake) in mistakes() {
        world.write_config(&config(&world, &logins()[0], mistake));
        written.run(&world, &["run"], code).await;
    }
    let rejected = world.count("migration_status.rejected_rows").await;
    // Seven conditions, three of which are away in one of the two runs.
    assert_eq!(rejected, (7 + 4) * runs.len() as u64, "each condition has refused its row");

    left_behind(&world, &server, &mut written).await;
    let lines = [key("aes.p8"), key("plain.p8")].concat();
    let of_key = lines.lines().filter(|line| line.len() > 40 && !line.starts_with('-'));
    for secret in [PASSWORD, TOKEN, TAG, POSTGRES, WRONG, PASSPHRASE].into_iter().chain(of_key) {
        written.hold_nowhere("a secret", secret);
    }
    written.hold_nowhere("a cell", CELL);
    written.hold_nowhere("a cell", &NUMBER.to_string());
}

fn variables(world: &World) -> Environment {
    Environment::process().with_env_file(world.path(".env")).expect("readable")
}

/// Files, status rows and the server's log. Cells may stand where rows are set aside, in the columns
/// for them.
async fn left_behind(world: &World, server: &Server, written: &mut Written) {
    for entry in std::fs::read_dir(world.folder.path()).expect("lists") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert!([".env", "config.json"].contains(&name.as_str()), "a file {name} was written");
    }
    let kept = "migration_status.rejected_rows";
    let held = format!("select count(*)::text from {kept} where row_values::text like '%{CELL}%'");
    assert_ne!(world.text(&held).await.as_deref(), Some("0"), "the test sees what it looks for");
    world.execute(&format!("update {kept} set row_values = '{{}}'")).await;
    let rows = world.dump(&["--data-only", "--schema=migration_status"]).await;
    assert!(rows.contains("items"), "{rows}");
    written.0.push(("the status tables".into(), rows));
    if let Some(folder) = server.folder() {
        let log = std::fs::read_to_string(folder.join("server.log")).expect("the server's log");
        // Values of statements and of refused rows belong to the server's owner; secrets do not.
        let statements =
            log.lines().filter(|line| line.contains("statement: ") || line.contains("execute "));
        let statements = statements.collect::<Vec<_>>().join("\n");
        assert!(statements.contains("migration_status"), "the program's statements are seen");
        written.0.push(("statements in the server's log".into(), statements));
    }
}
