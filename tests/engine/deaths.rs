//! Containers that die, vanish, or live without being well.

use crate::host::{Host, container};

const WEB: &str = "image: web:1";

#[test]
fn a_killed_container_runs_again() {
    let host = Host::start(&[container("web", WEB)]);
    let id = host.id("web");
    host.docker("kill @web");
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    assert_eq!(host.id("web"), id, "it is the same container");
    host.eventually("it is on record", |host| {
        host.steps("Container/web")
            == [
                "CreateContainer @web: it is missing [done]",
                "StartContainer @web: it was made and never started [done]",
                "StartContainer @web: it exited with 137 [done]",
            ]
    });
}

#[test]
fn a_removed_container_is_made_again() {
    let host = Host::start(&[container("web", WEB)]);
    let id = host.id("web");
    host.docker("rm --force @web");
    host.eventually("web is back", |host| host.state("web") == "running healthy");
    assert_ne!(host.id("web"), id);
    assert_eq!(host.names(), ["@web"]);
    assert_eq!(host.count("Container/web", "CreateContainer @web: it is missing"), 2);
}

#[test]
fn an_unhealthy_container_is_restarted() {
    let host = Host::start(&[container("web", WEB)]);
    let (id, started) = (host.id("web"), host.started("web"));
    host.docker("exec @web touch /tmp/sick");
    host.eventually("web is well again", |host| host.started("web") != started && host.state("web") == "running healthy");
    assert_eq!(host.id("web"), id);
    host.eventually("it is on record", |host| host.count("Container/web", "RestartContainer @web: it is unhealthy [done]") == 1);
}

#[test]
fn an_exit_code_that_a_label_tells_is_not_believed() {
    let host = Host::start(&[container("web", "image: web:1\nlabels: {exitCode: '0', signal: '15', name: other}")]);
    host.docker("kill @web");
    host.eventually("web runs again", |host| host.state("web") == "running healthy");
    host.eventually("the true code is on record", |host| {
        host.count("Container/web", "StartContainer @web: it exited with 137 [done]") == 1
    });
}

/// A server without a health check that can be made to stop serving while its process lives.
fn probed(probe: &str) -> String {
    let command = r#"["sh", "-c", "rm -f /tmp/sick; httpd -p 8080 -h /etc; while sleep 0.2; do [ ! -e /tmp/sick ] || killall httpd; done"]"#;
    format!(
        "image: busybox:1\ncommand: {command}\ninit: true\nnetworks: ['@net']\nprobe: {{{probe}, interval: 500ms, retries: 2, startPeriod: 30s}}"
    )
}

fn is_restarted_when_its_probe_fails(probe: &str) {
    let host = Host::start(&[container("web", &probed(probe))]);
    let (id, started) = (host.id("web"), host.started("web"));
    host.docker("exec @web touch /tmp/sick");
    host.eventually("web was restarted", |host| host.started("web") != started);
    host.eventually("it is on record", |host| host.count("Container/web", "RestartContainer @web: its probe fails") == 1);
    host.converges();
    assert_eq!(host.id("web"), id);
}

#[test]
fn a_port_that_refuses_connections_has_its_container_restarted() {
    is_restarted_when_its_probe_fails("tcp: {port: 8080}");
}

#[test]
fn a_page_that_is_not_served_has_its_container_restarted() {
    is_restarted_when_its_probe_fails("http: {port: 8080, path: /passwd}");
}

#[test]
fn a_command_that_fails_inside_has_its_container_restarted() {
    is_restarted_when_its_probe_fails("exec: {command: [sh, -c, '[ ! -e /tmp/sick ]']}");
}

/// Somebody else's container with a check that cannot be run, or that asks for something else.
fn with_check(check: &str, more: &str) -> Host {
    let mut host = Host::new(&[container("app", &format!("management: heal\nselector: {{name: '@app'}}\n{more}"))]);
    let name = format!("{}-app", host.name);
    let run = ["run", "--detach", "--name", &name, "--health-interval", "1s", "--health-retries", "1", "--health-cmd", check];
    let made = std::process::Command::new("docker").args(run).args(["--pull", "never", "mooring-demo/web:1"]).status();
    assert!(made.unwrap().success());
    host.run();
    host
}

#[test]
fn a_check_whose_program_is_not_in_the_image_is_told_and_restarts_nothing() {
    let host = with_check("curl --fail http://127.0.0.1:8080/", "");
    let started = host.started("app");
    host.eventually("it is told", |host| host.holds("Container/app").contains("Degraded: HealthUntrusted"));
    assert!(host.holds("Container/app").contains("curl"), "{}", host.holds("Container/app"));
    host.stays(4, "it is left alone", |host| host.started("app") == started && host.state("app") == "running unhealthy");
    assert_eq!(host.steps("Container/app"), [""; 0]);
    host.docker("kill @app");
    host.eventually("it is kept alive all the same", |host| host.state("app").starts_with("running"));
}

/// An unauthenticated ping once restarted a healthy Redis for six hours.
#[test]
fn a_redis_that_wants_a_password_is_alive() {
    let spec = "image: mooring-demo/redis:7\ncommand: [redis-server, --requirepass, secret, --save, '']\nprobe: {exec: {command: [redis-cli, -e, ping]}, interval: 1s}\n\
                healthcheck: {test: [CMD, redis-cli, -e, ping], interval: 1s, retries: 1}";
    let mut host = Host::new(&[container("redis", spec)]);
    host.run();
    host.eventually("it is told", |host| host.holds("Container/redis").contains("Degraded: HealthUntrusted"));
    let started = host.started("redis");
    assert!(host.holds("Container/redis").contains("NOAUTH"), "{}", host.holds("Container/redis"));
    host.stays(4, "it is left alone", |host| host.started("redis") == started && host.state("redis") == "running unhealthy");
}

#[test]
fn a_check_that_our_own_probe_contradicts_is_told_and_restarts_nothing() {
    let probe = "probe: {http: {port: 8080, path: /}, interval: 1s}";
    let host = with_check("wget -q -O /dev/null http://127.0.0.1:9999/", probe);
    let started = host.started("app");
    host.eventually("it is told", |host| host.holds("Container/app").contains("Degraded: HealthUntrusted"));
    assert!(host.holds("Container/app").contains("the probe of the manifest succeeds"), "{}", host.holds("Container/app"));
    host.stays(4, "it is left alone", |host| host.started("app") == started);
}
