//! How servers end when the program that started them does.

use std::fs;
use std::time::Instant;

use super::{is_alive, program, shell, wait_until};

#[test]
fn a_killed_program_takes_its_server_with_it() {
    let mut program = program::start(&[], "pid");
    let (pid, folder) = (program.pid_of_server(), program.folder_of_server());
    assert!(is_alive(pid) && folder.exists());
    let start = Instant::now();
    program.child.kill().unwrap(); // SIGKILL: the program has no chance to clean up
    wait_until("the server's end", || !is_alive(pid));
    let ended = start.elapsed();
    wait_until("the removal of its folder", || !folder.exists());
    println!("server gone after {ended:?}, folder after {:?}", start.elapsed());
    program.child.wait().unwrap();
}

#[test]
fn a_program_that_is_killed_while_its_server_starts_leaves_nothing() {
    // Files that appear one after the other during a start.
    for stage in ["data", "data/PG_VERSION", "server.pid", "data/postmaster.pid"] {
        let parent = super::TemporaryFolder::new();
        let mut program = program::command(&[]).env("TMPDIR", parent.path()).spawn().unwrap();
        let folders = || fs::read_dir(parent.path()).unwrap().flatten().map(|entry| entry.path());
        wait_until(stage, || folders().any(|folder| folder.join(stage).exists()));
        program.kill().unwrap();
        program.wait().unwrap();
        wait_until(&format!("cleaning up after {stage}"), || folders().next().is_none());
    }
}

#[test]
fn a_program_that_ends_takes_its_server_with_it() {
    let mut program = program::start(&[], "pid");
    let (pid, folder) = (program.pid_of_server(), program.folder_of_server());
    drop(program.child.stdin.take());
    assert!(program.child.wait().unwrap().success());
    assert!(!is_alive(pid) && !folder.exists());
}

#[test]
fn a_detached_server_lives_until_it_is_stopped_by_hand() {
    let mut program = program::start(&["--detach"], "stop");
    assert!(program.child.wait().unwrap().success());
    let (pid, folder) = (program.pid_of_server(), program.folder_of_server());
    assert!(shell(&format!("{} -c 'select 1' >/dev/null", program.value("psql"))));
    assert!(shell(program.value("stop")));
    wait_until("the server's end", || !is_alive(pid));
    wait_until("the removal of its folder", || !folder.exists());
}
