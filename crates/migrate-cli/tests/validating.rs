//! `migrate validate`, on what the users have.

use tempfile::TempDir;

use crate::support::{ended, start};

/// The configuration that their README prints, and a comment as they write them.
const THEIRS: &str = r#"{
  "snowflake": {
    "account": "${SNOWFLAKE_ACCOUNT}", // the account
    "user": "${SNOWFLAKE_USER}",
    "warehouse": "${SNOWFLAKE_WAREHOUSE}",
    "rsa_key": "${SNOWFLAKE_RSA_KEY}"
  },
  "postgres": {"host": "${POSTGRES_HOST}", "user": "${POSTGRES_USER}", "password": "${POSTGRES_PASSWORD}"},
  "parallel_threads": 4,
  "batch_size": 10000, // rows per chunk
  "sources": [{
    "enabled": true,
    "source_name": "analytics",
    "source_sf_database": "ANALYTICS",
    "source_sf_schema": "BI",
    "target_pg_database": "conflict_management",
    "target_pg_schema": "analytics_dev",
    "tables": [{
      "enabled": true,
      "source": "DIMPAYER",
      "target": "dimpayer",
      "source_filter": "\"Is Active\" = TRUE",
      "chunking_columns": ["Payer Id"],
      "chunking_column_types": ["uuid"],
      "uniqueness_columns": ["Payer Id"],
      "sort_columns": ["Payer Id"],
      "source_watermark": "Updated Datatimestamp",
      "target_watermark": "Updated Datatimestamp",
      "truncate_onstart": false,
      "disable_index": false
    }]
  }]
}"#;

fn environment() -> String {
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/key.p8");
    format!(
        "SNOWFLAKE_ACCOUNT=myaccount.us-east-1\nSNOWFLAKE_USER=me\nSNOWFLAKE_WAREHOUSE=WH\n\
         SNOWFLAKE_RSA_KEY={key}\nPOSTGRES_HOST=localhost\nPOSTGRES_USER=postgres\n\
         POSTGRES_PASSWORD=canary-4711\n"
    )
}

fn folder(config: &str) -> TempDir {
    let folder = TempDir::new().expect("folder");
    std::fs::write(folder.path().join("config.json"), config).expect("writes");
    std::fs::write(folder.path().join(".env"), environment()).expect("writes");
    folder
}

#[tokio::test]
async fn their_configuration_is_valid_as_it_is() {
    let folder = folder(THEIRS);
    let ended = ended(start(folder.path(), &["validate"])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "config.json is valid: 1 source, 1 table\n");
}

#[tokio::test]
async fn every_mistake_is_listed_at_once() {
    let mistaken = THEIRS
        .replace("\"parallel_threads\": 4", "\"parallel_threads\": 0")
        .replace("\"batch_size\"", "\"batchsize\"")
        .replace("${POSTGRES_HOST}", "${POSTGRES_HOSTT}")
        .replace("[\"uuid\"]", "[\"uid\"]")
        .replace("\"source\": \"DIMPAYER\",", "");
    let folder = folder(&mistaken);
    let ended = ended(start(folder.path(), &["validate"])).await;
    assert_eq!(ended.code, Some(3));
    let errors: Vec<_> =
        ended.stderr.lines().filter(|line| line.contains("config.json:")).collect();
    assert_eq!(errors.len(), 5, "{}", ended.stderr);
    for (path, line) in
        ["postgres.host", "parallel_threads", "batchsize", "tables[0]", "chunking_column_types[0]"]
            .into_iter()
            .map(|path| (path, errors.iter().find(|line| line.contains(path))))
    {
        let line = line.unwrap_or_else(|| panic!("{path}: {}", ended.stderr));
        assert!(line.contains("fix: "), "{line}");
    }
}
