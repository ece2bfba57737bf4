//! JSON arrays in arrays of PostgreSQL: each element exact, or the row refused.

use migrate_core::{ColumnPair, ColumnType, Fidelity, LoadPlan, RunContext, code};

use crate::samples::array;
use crate::support::{Given, Target, batch, batches, chunk};

/// Type of the elements, arrays with what the server shows of them, and arrays that do not fit.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const CASES: &[Case] = &[
    (
        "smallint",
        &[("[]", "{}"), ("[-32768,32767,null]", "{-32768,32767,NULL}")],
        &["[32768]", "[1.5]", "[\"1\"]"],
    ),
    (
        "integer",
        &[("[1e3,-0]", "{1000,0}"), ("[null]", "{NULL}")],
        &["[2147483648]", "[true]", "[[1]]"],
    ),
    (
        "bigint",
        &[("[9223372036854775807]", "{9223372036854775807}")],
        &["[9223372036854775808]", "{}", "1"],
    ),
    (
        "numeric",
        &[("[1.10,12345678901234567890.5,null]", "{1.10,12345678901234567890.5,NULL}")],
        &["[\"1\"]", "[NaN]"],
    ),
    ("numeric(5,2)", &[("[123.45,0.1]", "{123.45,0.10}")], &["[1234]", "[0.001]"]),
    ("real", &[("[0.1,1e30]", "{0.1,1e+30}")], &["[16777217]", "[1e39]"]),
    (
        "double precision",
        &[("[0.1,1e300,null]", "{0.1,1e+300,NULL}")],
        &["[9007199254740993]", "[1e309]"],
    ),
    ("boolean", &[("[true,false,null]", "{t,f,NULL}")], &["[1]", "[\"true\"]"]),
    (
        "text",
        &[
            (r#"["a","",null,"NULL","é,\"\\\n{}"]"#, "{a,\"\",NULL,\"NULL\",\"é,\\\"\\\\\n{}\"}"),
            ("[]", "{}"),
        ],
        &["[1]", r#"[["a"],["b"]]"#, r#"["\u0000"]"#, "null"],
    ),
    ("varchar(2)", &[(r#"["ab","é"]"#, "{ab,é}")], &[r#"["abc"]"#]),
    (
        "uuid",
        &[(
            r#"["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",null]"#,
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}",
        )],
        &[r#"["a0eebc99"]"#],
    ),
    (
        "date",
        &[(r#"["2024-02-29","0001-01-01",null]"#, "{2024-02-29,0001-01-01,NULL}")],
        &[r#"["2023-02-29"]"#],
    ),
    (
        "time",
        &[(r#"["10:11","23:59:59.999999"]"#, "{10:11:00,23:59:59.999999}")],
        &[r#"["24:00"]"#, r#"["10:11:12.1234567"]"#],
    ),
    (
        "timestamp",
        &[(r#"["2024-02-29 10:11:12.5",null]"#, "{\"2024-02-29 10:11:12.5\",NULL}")],
        &[r#"["2024-02-29 10:11:12.1234567"]"#, r#"["2024-02-30"]"#],
    ),
    (
        "timestamptz",
        &[(
            r#"["2024-02-29T10:11:12Z","2024-02-29 10:11:12.123 +0530",null]"#,
            "{\"2024-02-29 10:11:12+00\",\"2024-02-29 04:41:12.123+00\",NULL}",
        )],
        &[r#"["2024-02-29 10:11:12"]"#, r#"["2024-02-29T10:11:12.1234567Z"]"#],
    ),
    ("json", &[(r#"[{"k": 1},null,[1]]"#, r#"{"{\"k\": 1}","null",[1]}"#)], &["{}"]),
    ("jsonb", &[(r#"[{"k":1},[[2]]]"#, r#"{"{\"k\": 1}",[[2]]}"#)], &[r#"[{"k":1,"k":2}]"#]),
];

#[tokio::test]
async fn arrays_keep_their_elements_or_the_row_is_refused() {
    let target = Target::with("select 1").await;
    for (element, kept, refused) in CASES {
        target.execute("drop table if exists t").await;
        target.execute(&format!("create table t (v {element}[])")).await;
        let table = target.table("t").await;
        let plan = LoadPlan::append(vec![ColumnPair::new("v", "v", ColumnType::Json)]);
        assert_eq!(table.assess(&plan.columns[0]), Fidelity::Checked, "{element}");
        let write = async |text: &str| {
            let given = vec![Given("v", ColumnType::Json, array(&ColumnType::Json, Some(text)))];
            let rows = batches(vec![Ok(batch(given))]);
            table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await
        };
        for (text, shown) in *kept {
            target.execute("truncate t").await;
            write(text)
                .await
                .unwrap_or_else(|error| panic!("{element} {text}: {}", error.report()));
            let found = target.text("select v::text from t").await;
            assert_eq!(found.as_deref(), Some(*shown), "{element} {text}");
        }
        for text in *refused {
            let error = write(text).await.expect_err(text);
            assert_eq!(error.code(), code::VALUE_REFUSED, "{element} {text}: {}", error.report());
        }
    }
}
