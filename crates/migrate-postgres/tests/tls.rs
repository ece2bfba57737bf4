//! `sslmode` does what libpq's manual says of it.

use migrate_core::{Error, ErrorKind};
use migrate_postgres::SslMode;

use crate::support::{Authority, World, is_encrypted};

const ANY: &str = "host all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n";
const ONLY_TLS: &str = "hostssl all all 127.0.0.1/32 trust\nhostssl all all ::1/128 trust\n";
const ONLY_PLAIN: &str = "hostnossl all all 127.0.0.1/32 trust\nhostnossl all all ::1/128 trust\n";

fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    let report = error.report().to_string();
    assert_eq!(error.kind(), kind, "{report}");
    for word in words.iter().chain(&["fix: "]) {
        assert!(report.contains(word), "{word} is missing: {report}");
    }
}

#[tokio::test]
async fn verifying_modes_verify() {
    let ours = Authority::new("our authority");
    let world = World::with_tls(&ours, ANY).await;
    let ours = world.write("ours.pem", &ours.pem());
    let other = world.write("other.pem", &Authority::new("another authority").pem());
    let connect = async |host: &str, mode, authority: Option<&std::path::PathBuf>| {
        let mut settings = world.settings(host, mode);
        settings.ssl_root_cert = authority.cloned();
        is_encrypted(&settings).await
    };

    assert!(connect("localhost", SslMode::VerifyFull, Some(&ours)).await.expect("right"));
    let wrong_name = connect("127.0.0.1", SslMode::VerifyFull, Some(&ours)).await;
    says(&wrong_name.expect_err("name"), ErrorKind::Auth, &["127.0.0.1", "postgres.host"]);
    assert!(connect("127.0.0.1", SslMode::VerifyCa, Some(&ours)).await.expect("any name"));

    for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
        for authority in [Some(&other), None] {
            let wrong = connect("localhost", mode, authority).await.expect_err("authority");
            says(&wrong, ErrorKind::Auth, &["postgres.sslrootcert"]);
        }
    }
    // These promise nothing about who answers, only that nobody can listen.
    for mode in [SslMode::Require, SslMode::Prefer] {
        assert!(connect("127.0.0.1", mode, None).await.expect("encrypted"), "{mode:?}");
    }
    for mode in [SslMode::Disable, SslMode::Allow] {
        assert!(!connect("127.0.0.1", mode, None).await.expect("plain"), "{mode:?}");
    }
}

#[tokio::test]
async fn a_server_that_insists_on_tls_gets_it_unless_it_is_forbidden() {
    let world = World::with_tls(&Authority::new("our authority"), ONLY_TLS).await;
    for mode in [SslMode::Allow, SslMode::Prefer, SslMode::Require] {
        assert!(is_encrypted(&world.settings("127.0.0.1", mode)).await.expect("TLS"), "{mode:?}");
    }
    let refused = is_encrypted(&world.settings("127.0.0.1", SslMode::Disable)).await;
    says(&refused.expect_err("plain"), ErrorKind::Auth, &[r#""sslmode": "require""#]);
}

#[tokio::test]
async fn a_server_that_takes_no_tls_is_met_without_unless_it_is_demanded() {
    let authority = Authority::new("our authority");
    let not_wanted = World::with_tls(&authority, ONLY_PLAIN).await;
    let not_offered = World::without_tls(ANY).await;
    for world in [&not_wanted, &not_offered] {
        for mode in [SslMode::Disable, SslMode::Allow, SslMode::Prefer] {
            let plain = is_encrypted(&world.settings("127.0.0.1", mode)).await;
            assert!(!plain.expect("without TLS"), "{mode:?}");
        }
    }
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let refused = is_encrypted(&not_offered.settings("127.0.0.1", mode)).await;
        says(&refused.expect_err("no TLS"), ErrorKind::Config, &["switch `ssl` on"]);
    }
    let refused = is_encrypted(&not_wanted.settings("127.0.0.1", SslMode::Require)).await;
    says(&refused.expect_err("no rule"), ErrorKind::Auth, &["28000"]);
}

#[tokio::test]
async fn a_file_without_certificates_is_named_before_anything_is_sent() {
    let ours = Authority::new("our authority");
    let world = World::with_tls(&ours, ANY).await;
    let cut = ours.pem().replacen("MII", "AAA", 1);
    for (name, content) in [
        ("missing.pem", None),
        ("empty.pem", Some("")),
        ("text.pem", Some("no certificate at all")),
        ("broken.pem", Some(cut.as_str())),
    ] {
        let mut settings = world.settings("localhost", SslMode::VerifyFull);
        settings.ssl_root_cert = Some(match content {
            Some(content) => world.write(name, content),
            None => world.write("x", "").with_file_name(name),
        });
        let error = is_encrypted(&settings).await.expect_err(name);
        says(&error, ErrorKind::Config, &[name, "postgres.sslrootcert"]);
    }
}
