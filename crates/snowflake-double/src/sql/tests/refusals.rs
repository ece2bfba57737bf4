//! What is refused, by name.

use super::World;

#[test]
fn what_is_not_evaluated_is_named() {
    let world = World::new();
    for (sql, part) in [
        ("select soundex('x')", "SOUNDEX"),
        ("select hash(1)", "HASH"),
        ("select listagg(g, ',') from n", "LISTAGG"),
        ("select median(k) from n", "MEDIAN"),
        ("select avg(k) from n", "AVG"),
        ("insert into n values (1)", "INSERT"),
        ("create table t (a int)", "CREATE"),
        ("delete from n", "DELETE"),
        ("select * from n sample (10)", "FROM"),
        ("select * from n natural join n m", "join"),
        ("select k from n group by rollup(k)", "ROLLUP"),
        ("select * from table(flatten(input => 1))", "flatten"),
        ("select v:a from torture", "v:a"),
        ("select 1 from torture order by v", "VARIANT"),
        ("select distinct v from torture", "VARIANT"),
        ("select v::number from torture", "VARIANT"),
        ("select k from n intersect select 1", "INTERSECT"),
        ("with recursive a as (select 1) select * from a", "RECURSIVE"),
        ("select k from n where g > 5", "cast explicitly"),
        ("select k from n where k = '1.5'", "cast explicitly"),
        ("select g + 1 from n", "VARCHAR"),
        ("select k from n m where exists (select 1 from n where k = m.k)", "outer query"),
        ("select date_trunc('decade', current_date())", "decade"),
        ("select to_date('2024', 'YYYY')", "YYYY"),
        ("select k from n order by all", "ORDER BY"),
        ("select 1 as a from n limit 1.5", "LIMIT"),
        ("select try_to_number(1.5)", "TRY_CAST"),
        (
            "select sum(k) over (order by k rows between 1 preceding and current row) from n",
            "frame",
        ),
        ("select .0000000000001 * .0000000000001", "product"),
    ] {
        let (code, message) = world.failure(sql);
        assert!(message.contains(part), "{sql}: {code} {message}");
    }
}

#[test]
fn calls_with_wrong_arguments_are_reported() {
    let world = World::new();
    assert_eq!(world.failure("select upper()").0, "000938");
    assert_eq!(world.failure("select upper('a', 'b')").0, "000939");
    assert_eq!(world.failure("select sum('a')").0, "001044");
    assert_eq!(world.failure("select row_number()").0, "002062");
    assert_eq!(world.failure("select 1 where 'a'::date = 1").0, "002016");
}
