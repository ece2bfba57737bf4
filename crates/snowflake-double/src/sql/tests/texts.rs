//! VARCHAR: functions, collations, LIKE, digests.

use super::{World, check};

#[test]
fn text_functions_work_on_characters() {
    check(&[
        ("upper('été')", "ÉTÉ"),
        ("lower('ÀB')", "àb"),
        ("trim('  a ')", "a"),
        ("ltrim('00a0', '0')", "a0"),
        ("rtrim('abba', 'ab')", ""),
        ("length('é🚀')", "2"),
        ("octet_length('é')", "2"),
        ("length(to_binary('00ff'))", "2"),
        ("substr('abcdef', 2, 3)", "bcd"),
        ("substr('abcdef', -2)", "ef"),
        ("substring('abc', 0, 1)", "a"),
        ("left('abc', 2)", "ab"),
        ("right('abc', 2)", "bc"),
        ("'a' || 1 || true", "a1true"),
        ("'a' || null", "~"),
        ("concat('a', 1.50)", "a1.50"),
        ("replace('aXbX', 'X', '-')", "a-b-"),
        ("split_part('a.b.c', '.', 2)", "b"),
        ("split_part('a.b.c', '.', -1)", "c"),
        ("split_part('a', '.', 5)", ""),
        ("startswith('abc', 'ab')", "1"),
        ("contains('abc', 'x')", "0"),
        ("endswith('abc', 'bc')", "1"),
        ("position('b', 'abc')", "2"),
        ("lpad('7', 3, '0')", "007"),
        ("rpad('ab', 1)", "a"),
        ("$$it's\\n$$", "it's\\n"),
        ("'a\\tb'", "a\tb"),
        ("to_varchar(x'00ff')", "00FF"),
        ("to_varchar(to_binary('é', 'utf-8'), 'utf-8')", "é"),
    ]);
    let world = World::new();
    assert!(world.failure("select upper('ß')").1.contains('ß'));
    assert!(world.failure("select 'abc'::varchar(2)").1.contains("cut"));
}

#[test]
fn digests_are_those_of_the_text() {
    check(&[
        ("md5('1')", "c4ca4238a0b923820dcc509a6f75849b"),
        ("md5('')", "d41d8cd98f00b204e9800998ecf8427e"),
        ("md5(1)", "c4ca4238a0b923820dcc509a6f75849b"),
        ("to_number(left(md5('1'), 8), 'XXXXXXXX')", "3301589560"),
        ("hex_encode('é')", "C3A9"),
        ("md5_number_lower64('1')", "994258241967195291"),
        ("sha2('abc', 256)", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ]);
}

#[test]
fn like_matches_whole_texts() {
    check(&[
        ("'abc' like 'a%'", "1"),
        ("'abc' like 'b'", "0"),
        ("'a%c' like 'a!%c' escape '!'", "1"),
        ("'ABC' ilike 'a_c'", "1"),
        ("null like 'a'", "~"),
        ("'abc' not like '%d%'", "1"),
    ]);
}

#[test]
fn texts_sort_by_bytes_and_collated_ones_by_lower_case() {
    let world = World::new();
    let sql = |key: &str| format!("select \"id\" from \"Words\" order by {key}, \"id\"");
    assert_eq!(world.column(&sql("\"Payer Id\"")), "3 2 1 4");
    assert_eq!(world.column(&sql("ci")), "1 2 3 4");
    assert_eq!(world.column(&sql("collate(ci, '')")), "1 2 3 4");
    assert_eq!(world.column("select \"id\" from \"Words\" where ci = 'ABC' order by 1"), "1 2");
    assert_eq!(world.column("select \"id\" from \"Words\" where ci collate '' = 'Abc'"), "1");
    assert_eq!(world.column("select count(distinct ci) from \"Words\""), "2");
    assert_eq!(world.column("select count(distinct collate(ci, '')) from \"Words\""), "3");
    assert_eq!(world.column("select de from \"Words\" where \"id\" = 1"), "x");
    assert!(world.failure("select 1 from \"Words\" where de = 'x'").1.contains("de-pi"));
    assert!(world.failure("select 1 from \"Words\" where ci like 'a%'").1.contains("en-ci"));
}
