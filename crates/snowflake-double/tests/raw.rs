//! Parts of the protocol that the client crate never uses, over bare HTTP.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value as Json, json};
use snowflake_double::{ChunkHeaders, Double, RequestKind};

use crate::support::double;

struct Raw {
    http: reqwest::Client,
    base: String,
    token: String,
    master: String,
}

impl Raw {
    async fn new(double: &Double) -> Self {
        let http = reqwest::Client::new();
        let base = double.base_url().to_owned();
        let body = json!({"data": {
            "ACCOUNT_NAME": "acme", "LOGIN_NAME": "mover", "PASSWORD": "secret",
            "SESSION_PARAMETERS": {"TIMEZONE": "UTC"},
        }});
        let url = format!("{base}/session/v1/login-request?databaseName=DB&schemaName=SC");
        let answer: Json = http.post(url).json(&body).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["success"], true);
        assert_eq!(answer["data"]["validityInSeconds"], 3_600);
        assert_eq!(answer["data"]["sessionInfo"]["schemaName"], "SC");
        let text = |name: &str| answer["data"][name].as_str().unwrap().to_owned();
        Self { token: text("token"), master: text("masterToken"), http, base }
    }

    async fn post(&self, path: &str, token: &str, body: Vec<u8>) -> Json {
        let url = format!("{}{path}", self.base);
        let token = format!("Snowflake Token=\"{token}\"");
        let request = self.http.post(url).header("Authorization", token).body(body);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn query(&self, request_id: &str, sql: &str) -> Json {
        let path = format!("/queries/v1/query-request?requestId={request_id}");
        self.post(&path, &self.token, json!({"sqlText": sql}).to_string().into_bytes()).await
    }
}

#[tokio::test]
async fn a_repeated_request_id_runs_nothing_twice() {
    let double = double().await;
    let raw = Raw::new(&double).await;
    let first = raw.query("r-1", "select current_timestamp()").await;
    double.advance_clock(Duration::from_secs(5));
    let second = raw.query("r-1", "select current_timestamp()").await;
    assert_eq!(first["data"]["queryId"], second["data"]["queryId"]);
    assert_eq!(first["data"]["rowset"], second["data"]["rowset"]);
    let third = raw.query("r-2", "select current_timestamp()").await;
    assert_ne!(first["data"]["rowset"], third["data"]["rowset"]);
    assert_eq!(double.statements().len(), 2);
    let repeated: Vec<_> = double
        .requests()
        .into_iter()
        .filter(|request| request.kind == RequestKind::Query)
        .map(|request| request.is_repeated)
        .collect();
    assert_eq!(repeated, [false, true, false]);
}

#[tokio::test]
async fn tokens_are_renewed_with_the_master_token() {
    let double = double().await;
    let raw = Raw::new(&double).await;
    let renew = |master: String| {
        let body = json!({"oldSessionToken": raw.token, "requestType": "RENEW"});
        let raw = &raw;
        async move {
            raw.post("/session/token-request?requestId=x", &master, body.to_string().into_bytes())
                .await
        }
    };
    double.advance_clock(Duration::from_hours(1));
    assert_eq!(raw.query("r-1", "select 1").await["code"], "390112");
    let answer = renew(raw.master.clone()).await;
    assert_eq!(answer["data"]["validityInSecondsST"], 3_600);
    let token = answer["data"]["sessionToken"].as_str().unwrap().to_owned();
    let body = json!({"sqlText": "select current_schema()"}).to_string().into_bytes();
    let answer2 = raw.post("/queries/v1/query-request?requestId=r-2", &token, body).await;
    assert_eq!(answer2["data"]["rowset"], json!([["SC"]]), "the session is the same");
    assert_eq!(renew(raw.master.clone()).await["code"], "390113", "the old master token is gone");
    let master = answer["data"]["masterToken"].as_str().unwrap().to_owned();
    double.advance_clock(Duration::from_hours(4));
    assert_eq!(renew(master).await["code"], "390114");
}

#[tokio::test]
async fn heartbeats_keep_sessions_and_logouts_end_them() {
    let double = double().await;
    let raw = Raw::new(&double).await;
    assert_eq!(
        raw.post("/session/heartbeat?requestId=x", &raw.token, Vec::new()).await["success"],
        true
    );
    assert_eq!(double.open_sessions(), 1);
    assert_eq!(raw.post("/session?delete=true", &raw.token, Vec::new()).await["success"], true);
    assert_eq!(double.open_sessions(), 0);
    assert_eq!(raw.query("r-1", "select 1").await["code"], "390111");
    let kinds: Vec<_> = double.requests().into_iter().map(|request| request.kind).collect();
    assert_eq!(
        kinds,
        [RequestKind::Login, RequestKind::Heartbeat, RequestKind::Logout, RequestKind::Query]
    );
}

#[tokio::test]
async fn answers_have_the_fields_that_drivers_read() {
    let double = double().await;
    double.knobs().set_inline_rows(2);
    double.knobs().set_chunk_rows(600).unwrap();
    let raw = Raw::new(&double).await;
    let answer = raw.query("r-1", "select id, n from t order by id").await;
    let data = &answer["data"];
    assert_eq!(answer["code"], Json::Null);
    assert_eq!(data["rowset"], json!([["1", "1.25"], ["2", "2.25"]]));
    assert_eq!(data["total"], 1_000);
    assert_eq!(data["queryResultFormat"], "json");
    assert_eq!(data["chunkHeaders"], json!({}));
    assert_eq!(data["statementTypeId"], 4_096);
    assert_eq!(data["finalDatabaseName"], "DB");
    assert_eq!(data["rowtype"][0]["name"], "ID");
    assert_eq!(data["rowtype"][0]["table"], "T");
    assert_eq!(data["rowtype"][0]["nullable"], false);
    let chunks = data["chunks"].as_array().unwrap();
    let counts: Vec<_> = chunks.iter().map(|chunk| chunk["rowCount"].as_u64().unwrap()).collect();
    assert_eq!(counts, [600, 398]);
    assert!(chunks[0]["uncompressedSize"].as_u64().unwrap() > 600);
    let failure = raw.query("r-2", "select 1 / 0").await;
    assert_eq!(failure["success"], false);
    assert_eq!(failure["code"], "100051");
    assert_eq!(failure["data"]["sqlState"], "22012");
    assert!(failure["data"]["queryId"].is_string());
    double.knobs().set_chunk_headers(ChunkHeaders::Key("key".to_owned()));
    let answer = raw.query("r-3", "select id from t").await;
    assert_eq!(answer["data"]["qrmk"], "key");
    assert!(answer["data"].get("chunkHeaders").is_none());
}

#[tokio::test]
async fn chunk_links_cannot_be_changed_and_take_no_token() {
    let double = double().await;
    double.knobs().set_inline_rows(0);
    let raw = Raw::new(&double).await;
    let answer = raw.query("r-1", "select id from t order by id").await;
    let url = answer["data"]["chunks"][0]["url"].as_str().unwrap().to_owned();
    let get = |url: String, token: Option<&'static str>| {
        let mut request = raw.http.get(url);
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.unwrap())
        }
    };
    let (status, body) = get(url.clone(), None).await;
    assert_eq!(status, 200);
    assert_eq!(body[..2], [0x1f, 0x8b], "packed without saying so");
    let (status, body) = get(url.clone(), Some("Snowflake Token=\"x\"")).await;
    assert_eq!(status, 400);
    assert!(String::from_utf8_lossy(&body).starts_with("<?xml"));
    assert_eq!(get(url.replace("data_0", "data_1"), None).await.0, 403);
    assert_eq!(get(url.replace("Expires=", "Expires=9"), None).await.0, 403);
}

#[tokio::test]
async fn packed_requests_aborts_and_unknown_paths() {
    let double = double().await;
    let raw = Raw::new(&double).await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(br#"{"sqlText":"select ?","bindings":{"1":{"type":"TEXT","value":"x"}}}"#)
        .unwrap();
    let body = packed.finish().unwrap();
    let answer = raw.post("/queries/v1/query-request?requestId=r-1", &raw.token, body).await;
    assert_eq!(answer["data"]["rowset"], json!([["x"]]));
    let abort = json!({"requestId": "r-1"}).to_string().into_bytes();
    let answer = raw.post("/queries/v1/abort-request?requestId=r-9", &raw.token, abort).await;
    assert_eq!(answer["code"], "000605");
    let status = raw.http.get(format!("{}/nowhere", raw.base)).send().await.unwrap().status();
    assert_eq!(status.as_u16(), 404);
    assert_eq!(
        raw.post("/queries/v1/query-request", "no such token", Vec::new()).await["code"],
        "390111"
    );
}
