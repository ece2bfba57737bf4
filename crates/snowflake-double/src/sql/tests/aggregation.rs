//! Aggregates, groups, windows, order, limits, joins, set operations.

use super::World;

#[test]
fn aggregates_skip_nulls_and_an_empty_input_has_one_row() {
    let world = World::new();
    let one = |select: &str| world.rows(&format!("select {select} from n")).remove(0);
    let text =
        |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
    assert_eq!(
        one(
            "count(*), count(n), count(distinct n), approx_count_distinct(n), min(n), max(n), sum(n)"
        ),
        text(&["10", "8", "6", "6", "0.00", "5.00", "21.00"])
    );
    assert_eq!(
        one("count_if(n > 2), sum(f), max(g), min(k)::number(38,0)"),
        text(&["4", "27.5", "odd", "1"])
    );
    assert_eq!(
        world.rows("select count(*), sum(n), min(g) from n where k > 99"),
        [[Some("0".to_owned()), None, None]]
    );
    assert_eq!(world.column("select count(*) from n where k > 99 group by g"), "");
}

#[test]
fn groups_are_formed_by_columns_expressions_ordinals_and_all() {
    let world = World::new();
    for group in ["g", "1", "all", "upper(g), g", "n.g"] {
        let sql = format!("select g, count(*) from n group by {group} order by g desc");
        assert_eq!(
            world.rows(&sql),
            [["odd", "5"], ["even", "5"]].map(|row| row.map(|cell| Some(cell.to_owned())))
        );
    }
    assert_eq!(
        world.column("select n from n group by n order by n"),
        "0.00 1.00 2.00 3.00 4.00 5.00 ~"
    );
    assert_eq!(world.column("select k % 3 as r from n group by r order by r"), "0 1 2");
    assert_eq!(world.column("select k % 3 + 1 from n group by k % 3 order by k % 3 desc"), "3 2 1");
    assert_eq!(
        world.column("select n from n group by n having count(*) > 1 order by n"),
        "2.00 4.00 ~"
    );
    assert_eq!(world.failure("select k, count(*) from n group by g").0, "000979");
    assert_eq!(world.failure("select k, count(*) from n").0, "000979");
    assert_eq!(world.failure("select g from n where count(*) > 1 group by g").0, "002076");
}

#[test]
fn ranks_share_ties_and_row_numbers_do_not() {
    let world = World::new();
    let over = |function: &str| {
        format!("select {function} over (order by n) from n where k <= 5 order by n, k")
    };
    // N of rows 1 to 5: 0, 1, NULL, 2, 2.
    assert_eq!(world.column(&over("rank()")), "1 2 3 3 5");
    assert_eq!(world.column(&over("dense_rank()")), "1 2 3 3 4");
    assert_eq!(world.column(&over("row_number()")), "1 2 3 4 5");
    assert_eq!(world.column(&over("ntile(2)")), "1 1 1 2 2");
    assert_eq!(
        world.column("select k from n qualify row_number() over (partition by g order by k desc) = 1 order by k"),
        "9 10"
    );
    assert_eq!(
        world.column("select floor((rank() over (order by k) - 1) * 4 / count(*) over ())::number(38,0) as b from n order by k"),
        "0 0 0 1 1 2 2 2 3 3"
    );
    assert_eq!(
        world.column("select lag(k) over (order by k) from n where k < 4 order by k"),
        "~ 1 2"
    );
    assert_eq!(
        world.column("select lead(k, 2) over (order by k) from n where k < 4 order by k"),
        "3 ~ ~"
    );
}

#[test]
fn a_histogram_of_ranks_never_splits_ties() {
    let world = World::new();
    let histogram = |depth: u32| {
        let sql = format!(
            "SELECT \"FIRST\", \"N\", (COUNT(*) OVER ())::NUMBER(38,0) AS \"BUCKETS\" FROM (\
             SELECT MIN(\"K\") AS \"FIRST\", COUNT(*)::NUMBER(38,0) AS \"N\", \"BUCKET\" FROM (\
             SELECT \"K\", CASE WHEN \"K\" IS NULL THEN -1 ELSE (\"R\" - MOD(\"R\", {depth})) END \
             AS \"BUCKET\" FROM (SELECT \"K\", RANK() OVER (ORDER BY \"K\" ASC NULLS LAST) - 1 \
             AS \"R\" FROM (SELECT \"N\" AS \"K\" FROM \"DB\".\"SC\".\"N\" \
             AT(TIMESTAMP => '2024-03-10T11:59:00.000Z'::TIMESTAMP_LTZ) WHERE (\n true -- x\n)))) \
             GROUP BY \"BUCKET\") ORDER BY \"BUCKET\""
        );
        let rows = world.rows(&sql);
        let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "~".to_owned());
        rows.iter()
            .map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    // N is 0, 1, 2, 2, 3, 4, 4, 5 and twice NULL.
    assert_eq!(histogram(3), ["~ 2 4", "0.00 4 4", "3.00 3 4", "5.00 1 4"]);
    assert_eq!(histogram(100), ["~ 2 2", "0.00 8 2"]);
}

#[test]
fn running_sums_include_equals_unless_rows_are_asked_for() {
    let world = World::new();
    let sum = |over: &str| {
        world.column(&format!("select sum(k) over ({over}) from n where k in (4, 5, 6) order by k"))
    };
    // N of rows 4 to 6: 2, 2, 3.
    assert_eq!(sum("order by n"), "9 9 15");
    assert_eq!(sum("order by n rows between unbounded preceding and current row"), "4 9 15");
    assert_eq!(sum("partition by g"), "10 5 10");
    assert_eq!(sum(""), "15 15 15");
    assert_eq!(
        world.column("select sum(count(*)) over (order by g) from n group by g order by g"),
        "5 10"
    );
    assert_eq!(world.failure("select rank() over () from n").0, "002303");
    assert_eq!(world.failure("select k from n where rank() over (order by k) = 1").0, "002061");
}

#[test]
fn nulls_sort_last_ascending_and_first_descending() {
    let world = World::new();
    let order =
        |keys: &str| world.column(&format!("select k from n where k in (2, 3, 4) order by {keys}"));
    assert_eq!(order("n"), "2 4 3");
    assert_eq!(order("n desc"), "3 4 2");
    assert_eq!(order("n nulls first"), "3 2 4");
    assert_eq!(order("n desc nulls last"), "4 2 3");
    assert_eq!(order("1 desc"), "4 3 2");
    assert_eq!(world.column("select f from (select 'NaN'::float as f union all select 'inf'::float union all select -1) order by f"), "-1 inf NaN");
    assert_eq!(world.failure("select k from n order by 2").0, "002039");
}

#[test]
fn output_names_win_in_order_by_and_limits_apply_last() {
    let world = World::new();
    assert_eq!(world.column("select -k as k from n order by k limit 2"), "-10 -9");
    assert_eq!(world.column("select k from n order by n.k limit 2 offset 3"), "4 5");
    assert_eq!(world.column("select k from n order by k offset 8"), "9 10");
    assert_eq!(world.column("select top 1 k from n order by k desc"), "10");
    assert_eq!(world.column("select k from n order by k fetch first 2 rows only"), "1 2");
    assert_eq!(world.column("select k from n limit 0"), "");
    assert_eq!(world.column("select distinct g from n order by g desc"), "odd even");
    assert_eq!(world.column("select distinct n from n order by n limit 2"), "0.00 1.00");
    assert_eq!(world.column("select k * 2 as d, d + 1 as e from n where d > 18"), "20");
}

#[test]
fn subselects_joins_and_unions() {
    let world = World::new();
    assert_eq!(world.column("with a as (select k from n where k < 3), b(x) as (select k + 1 from a) select a.k from a join b on a.k = b.x order by 1"), "2");
    assert_eq!(world.column("select l.k from n l left join (select k from n where k < 3) r on l.k = r.k where r.k is null and l.k < 5 order by 1"), "3 4");
    assert_eq!(
        world.column("select l.k from n l inner join n r on l.n = r.n and r.k > l.k order by 1"),
        "4 8"
    );
    assert_eq!(world.column("select k from n a join n b using (k) where k = 3"), "3");
    assert_eq!(world.column("select count(*) from n a cross join n b"), "100");
    assert_eq!(world.column("select a.k from n a full join (select 10 as k union all select 11) b on a.k = b.k where a.k is null or b.k is not null order by 1"), "10 ~");
    assert_eq!(
        world.column("select 1 as x union all select 2.5 union all select null order by x desc"),
        "~ 2.5 1.0"
    );
    assert_eq!(world.column("select 1 union select 1"), "1");
    assert_eq!(world.column("select b from (select k as b from n) where b = 3"), "3");
    assert_eq!(
        world.column("select v.y from (values (1, 'a'), (2, 'b')) as v(x, y) where x = 2"),
        "b"
    );
    assert_eq!(world.column("select column1 from values (1), (null) order by 1"), "1 ~");
    assert_eq!(world.column("select n.* exclude (g, n, f) from n where k = 1"), "1");
    assert_eq!(world.failure("select 1 union all select 1, 2").0, "001789");
}
