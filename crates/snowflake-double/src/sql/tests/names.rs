//! Names: folding, quoting, qualification, and what is said about missing ones.

use super::World;

#[test]
fn unquoted_names_fold_and_quoted_ones_are_exact() {
    let world = World::new();
    assert_eq!(world.column("select K from db.sc.N where k = 1"), "1");
    assert_eq!(world.column("select \"K\" from \"DB\".\"SC\".\"N\" where N.k = 1"), "1");
    assert_eq!(world.column("select \"Payer Id\" from \"Words\" where \"id\" = 1"), "a");
    assert_eq!(world.column("select t.k from n as t where t.k = 2"), "2");
    let fields = |sql: &str| {
        let result = world.execute(sql).unwrap().result;
        result.fields.into_iter().map(|field| field.name).collect::<Vec<_>>()
    };
    assert_eq!(
        fields("select k, k as small, k as \"small\", n.k, count(*) from n group by all"),
        ["K", "SMALL", "small", "K", "COUNT(*)"]
    );
    assert_eq!(fields("select * from \"Words\""), ["id", "Payer Id", "CI", "DE"]);
}

#[test]
fn missing_names_have_their_codes() {
    let world = World::new();
    for (sql, code, part) in [
        ("select x from n", "000904", "invalid identifier 'X'"),
        ("select \"k\" from n", "000904", "invalid identifier '\"k\"'"),
        ("select payer from \"Words\"", "000904", "'PAYER'"),
        ("select n.x from n", "000904", "N.X"),
        ("select a.k from n", "000904", "A.K"),
        (
            "select 1 from missing",
            "002003",
            "Object 'DB.SC.MISSING' does not exist or not authorized.",
        ),
        ("select 1 from words", "002003", "DB.SC.WORDS"),
        ("select 1 from db.nope.t", "002003", "Schema 'DB.NOPE'"),
        ("select 1 from nope.sc.t", "002003", "Database 'NOPE'"),
        ("select k from n, n as m", "002028", "ambiguous column name 'K'"),
        ("selec 1", "001003", "syntax error"),
        ("select from where", "001003", "syntax error"),
    ] {
        let (got, message) = world.failure(sql);
        assert_eq!(got, code, "{sql}: {message}");
        assert!(message.contains(part), "{sql}: {message}");
    }
    let state = |sql: &str| world.execute(sql).unwrap_err().sql_state;
    assert_eq!(state("select x from n"), "42000");
    assert_eq!(state("select 1 from missing"), "42S02");
    assert_eq!(state("selec 1"), "42000");
}

#[test]
fn a_session_without_a_database_needs_full_names() {
    let mut world = World::new();
    world.session.database = None;
    world.session.schema = None;
    assert_eq!(world.failure("select 1 from n").0, "090105");
    assert_eq!(world.column("select k from db.sc.n where k = 1"), "1");
    world.session.database = Some("DB".to_owned());
    assert_eq!(world.failure("select 1 from n").0, "090106");
    assert_eq!(world.column("select k from sc.n where k = 1"), "1");
}

#[test]
fn metadata_names_the_table_of_plain_columns_only() {
    let world = World::new();
    let result = world.execute("select k, k + 1, n.* from n").unwrap().result;
    let origin = |index: usize| result.fields[index].origin.as_ref().map(|name| name.table.clone());
    assert_eq!(origin(0).as_deref(), Some("N"));
    assert_eq!(origin(1), None);
    assert_eq!(origin(2).as_deref(), Some("N"));
    assert!(!result.fields[0].nullable);
    assert!(result.fields[4].nullable);
}
