//! How servers end when the program that started them does.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{is_alive, run_example, shell, wait_until};

#[test]
fn a_killed_program_takes_its_server_with_it() {
    let (mut program, values) = run_example("server", "pid");
    let pid: u32 = values["pid"].parse().unwrap();
    let folder = PathBuf::from(&values["folder"]);
    assert!(is_alive(pid) && folder.exists());
    let start = Instant::now();
    program.kill().unwrap(); // SIGKILL: the program has no chance to clean up
    wait_until("the server's end", || !is_alive(pid));
    let ended = start.elapsed();
    wait_until("the removal of its folder", || !folder.exists());
    println!("server gone after {ended:?}, folder after {:?}", start.elapsed());
    program.wait().unwrap();
}

#[test]
fn a_program_that_is_killed_while_its_server_starts_leaves_nothing() {
    // Files that appear one after the other during a start.
    for stage in ["data", "data/PG_VERSION", "server.pid", "data/postmaster.pid"] {
        let parent = super::TemporaryFolder::new();
        let mut program = Command::new(super::example("server"))
            .env("TMPDIR", parent.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let folders = || fs::read_dir(parent.path()).unwrap().flatten().map(|entry| entry.path());
        wait_until(stage, || folders().any(|folder| folder.join(stage).exists()));
        program.kill().unwrap();
        program.wait().unwrap();
        wait_until(&format!("cleaning up after {stage}"), || folders().next().is_none());
    }
}

#[test]
fn a_program_that_ends_takes_its_server_with_it() {
    let (mut program, values) = run_example("server", "pid");
    let pid: u32 = values["pid"].parse().unwrap();
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    assert!(!is_alive(pid) && !PathBuf::from(&values["folder"]).exists());
}

#[test]
fn a_detached_server_lives_until_it_is_stopped_by_hand() {
    let (mut program, values) = run_example("detached", "folder");
    assert!(program.wait().unwrap().success());
    let pid: u32 = values["stop"].rsplit(' ').next().unwrap().parse().unwrap();
    assert!(shell(&format!("{} -c 'select 1' >/dev/null", values["psql"])));
    assert!(shell(&values["stop"]));
    wait_until("the server's end", || !is_alive(pid));
    wait_until("the removal of its folder", || !PathBuf::from(&values["folder"]).exists());
}
