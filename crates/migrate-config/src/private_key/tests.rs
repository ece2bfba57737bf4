use secrecy::ExposeSecret;

use super::*;

/// Made for these tests by openssl and ssh-keygen; none of them opens anything.
fn path(name: &str) -> String {
    format!("{}/tests/fixtures/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn content(name: &str) -> String {
    fs::read_to_string(path(name)).expect(name)
}

fn passphrase() -> Secret {
    Secret::from("open-sesame")
}

fn problem(value: &str, passphrase: Option<&Secret>) -> Problem {
    read(value, passphrase).expect_err("no usable key")
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_plain_key_is_read_in_every_shape_that_users_have() {
    let pem = content("plain.p8");
    let shapes = [
        path("plain.p8"),
        pem.clone(),
        pem.replace('\n', "\\n"),
        pem.replace('\n', "\r\n"),
        pem.replace('\n', " "),
        format!("Bag Attributes\n    localKeyID: 01\n{pem}"),
        format!("{}{pem}", content("certificate.pem")),
        body(&pem),
        body(&pem).replace('\n', ""),
        body(&pem).replace('\n', "\\n"),
    ];
    for shape in shapes {
        let key = read(&shape, None).expect("a usable key");
        assert_eq!(key.pem.expose_secret(), pem);
        assert!(key.passphrase.is_none() && key.remarks.is_empty());
    }
}

#[test]
fn encrypted_keys_decode_with_their_passphrase() {
    for name in ["aes.p8", "des3.p8", "scrypt.p8"] {
        let key = read(&path(name), Some(&passphrase())).expect(name);
        assert_eq!(key.pem.expose_secret(), content(name));
        assert_eq!(key.passphrase.expect("kept").expose_secret(), "open-sesame");

        let bare = read(&body(&content(name)), Some(&passphrase())).expect(name);
        assert_eq!(bare.pem.expose_secret(), content(name));

        assert_eq!(problem(&path(name), None), Problem::PassphraseMissing);
        let wrong = Secret::from("open-barley");
        assert_eq!(problem(&path(name), Some(&wrong)), Problem::PassphraseWrong);
    }
}

#[test]
fn a_passphrase_for_a_plain_key_is_told_and_left_out() {
    let key = read(&path("plain.p8"), Some(&passphrase())).expect("usable");
    assert_eq!(key.remarks, [Remark::PassphraseUnused]);
    assert!(key.passphrase.is_none());
}

#[test]
fn each_kind_of_wrong_file_is_called_by_its_name() {
    for (name, expected) in [
        ("pkcs1.pem", Problem::Pkcs1),
        ("openssh", Problem::OpenSsh),
        ("public.pem", Problem::PublicKey),
        ("certificate.pem", Problem::Certificate),
        ("ec.p8", Problem::EllipticCurve),
        ("ec_sec1.pem", Problem::EllipticCurve),
    ] {
        assert_eq!(problem(&path(name), None), expected, "{name}");
    }
    assert_eq!(problem(&body(&content("pkcs1.pem")), None), Problem::Pkcs1);
    assert_eq!(problem(&body(&content("public.pem")), None), Problem::PublicKey);
    for name in ["pbes1.p8", "des3-sha1.p8"] {
        let found = problem(&path(name), Some(&passphrase()));
        assert_eq!(found, Problem::UnsupportedEncryption, "{name}");
    }
}

#[test]
fn a_short_key_is_told() {
    let key = read(&path("short.p8"), None).expect("usable");
    assert_eq!(key.remarks, [Remark::Short]);
}

#[test]
fn a_key_that_is_cut_off_is_damaged() {
    let pem = content("plain.p8");
    let half = pem.len() / 2;
    let body = body(&pem);
    let without_end = pem.replace("-----END PRIVATE KEY-----", "");
    let cut_inside = format!("{}\n-----END PRIVATE KEY-----\n", &pem[..half]);
    for text in [&pem[..half], &without_end, &cut_inside, &body[..body.len() / 2]] {
        assert_eq!(problem(text, None), Problem::Damaged);
    }
}

#[test]
fn a_path_without_a_file_is_no_key_text() {
    for text in ["/no/such/key", "keys\\key", "key.pem", "rsa_key.P8", "~/x.key"] {
        assert_eq!(problem(text, None), Problem::FileMissing, "{text}");
    }
    for text in ["", "secret", "MIIsomething", "some text with.dots"] {
        assert_eq!(problem(text, None), Problem::NotAKey, "{text}");
    }
    assert!(matches!(problem(&path(""), None), Problem::FileUnreadable(_)));
}
