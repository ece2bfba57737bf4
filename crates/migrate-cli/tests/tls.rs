//! What the configuration says of TLS reaches the connection.

use postgres_sandbox::{ServerOptions, TestDatabase, TestServer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use snowflake_double::Double;
use tempfile::TempDir;

use crate::support::{ORDERS, World, orders, orders_in_chunks};

#[tokio::test]
async fn a_load_over_a_verified_connection_and_none_over_another_one() {
    let folder = TempDir::new().expect("folder");
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("writes");
        path
    };
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let authority = authority.expect("signs itself");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("signs");
    let (certificate, key) =
        (write("s.crt", &certificate.pem()), write("s.key", &key.serialize_pem()));
    let options = ServerOptions::new().tls(certificate, key);
    let server = tokio::task::spawn_blocking(|| TestServer::private(options)).await.expect("joins");
    let database = TestDatabase::create_on(&server).await;
    let world = World::in_database(database, Double::builder().table(orders(500)), ORDERS).await;
    // Only encrypted sessions can write.
    world
        .execute(
            "create function is_encrypted() returns boolean language sql stable as \
             'select ssl from pg_stat_ssl where pid = pg_backend_pid()'",
        )
        .await;
    world.execute("alter table orders add constraint encrypted check (is_encrypted())").await;

    let mut config = world.config(&orders_in_chunks());
    config["postgres"]["sslmode"] = json!("verify-full");
    config["postgres"]["sslrootcert"] = json!(write("authority.pem", &authority.pem()));
    config["postgres"]["host"] = json!("127.0.0.1");
    world.write_config(&config);
    let refused = world.run(&[]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("fix: set `postgres.host` to a name"), "{}", refused.stderr);

    config["postgres"]["host"] = json!("localhost");
    world.write_config(&config);
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(world.count("orders").await, 500);

    config["postgres"]["sslrootcert"] = json!(write("text.pem", "nothing of the kind"));
    world.write_config(&config);
    let garbage = world.run(&[]).await;
    assert_eq!(garbage.code, Some(3), "{}", garbage.stderr);
    assert!(garbage.stderr.contains("text.pem"), "{}", garbage.stderr);
}
