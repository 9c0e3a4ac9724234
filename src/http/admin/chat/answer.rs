//! From an intent to its answer.

use std::borrow::Cow;

use serde_json::Value;

use super::Said;
use crate::{
    admin::{
        confirm::Question,
        intent::{AuditOf, Held, Intent, Service, Understood, Vocabulary, parse},
        sql::{
            guard,
            runner::{Database, Limits},
        },
    },
    http::admin::{Admin, asked, login::Opened, pages},
    manifest::{Key, Kind},
    view::{AuditQuery, ObjectView},
};

/// Where the URL of the database is.
const DATABASE_URL: &str = "DATABASE_URL";
/// Rows of a table, unless more were asked for.
const ROWS: usize = 20;

/// What can be said, with an example of each.
const HELP: [(&str, &str); 10] = [
    ("how everything is", "status"),
    ("whether something runs", "is redis running?"),
    ("what happened", "events of redis since yesterday"),
    ("what was done", "show the audit log from today"),
    ("why", "why was redis restarted?"),
    ("what would be done now", "plan"),
    ("where routes lead, which model answers", "routes"),
    ("what is in the database", "SELECT count(*) FROM shop.orders"),
    ("restart something", "restart redis"),
    ("try again with what was given up", "release redis"),
];

/// Answers what was said.
pub(super) async fn answer(admin: &Admin, opened: &Opened, text: &str) -> Said {
    let services = services(admin.operator.objects(Some(Kind::Container)));
    let vocabulary = Vocabulary::new(services, [], []);
    let answered = match parse(text, &vocabulary, admin.operator.now()) {
        Understood::Intent(Intent::Confirm) => confirm(admin, opened).await,
        Understood::Intent(intent) => {
            // Whatever else is said, what waited for a yes does not any more.
            admin.confirmations.cancel(&opened.name);
            carry_out(admin, opened, intent).await
        }
        Understood::Ambiguous { question, candidates } => Said {
            answer: vec![question],
            instead: candidates.into_iter().map(|candidate| candidate.masked().to_string()).collect(),
            ..Said::default()
        },
        Understood::UnknownService { said, nearest } => {
            let nearest = if nearest.is_empty() { String::new() } else { format!(" The nearest: {}.", nearest.join(", ")) };
            told(format!("There is no service `{said}`.{nearest}"))
        }
        Understood::Unknown => {
            told("I do not know what that means; `help` says what I understand. A model is not asked yet.".to_owned())
        }
    };
    Said { text: text.to_owned(), ..answered }
}

fn told(text: String) -> Said {
    Said { answer: vec![text], ..Said::default() }
}

/// What things are called: by their objects, their containers, their images, and Compose.
fn services(objects: Vec<ObjectView>) -> Vec<Service> {
    let service = |object: ObjectView| {
        let text = |pointer: &str| object.manifest.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned);
        Service {
            container: text("/spec/containerName").or_else(|| text("/spec/selector/name")),
            image: text("/spec/image"),
            compose: text("/spec/selector/labels/com.docker.compose.service"),
            project: text("/spec/selector/labels/com.docker.compose.project"),
            display_name: None,
            name: object.key.name,
        }
    };
    objects.into_iter().map(service).collect()
}

fn key(service: &str) -> Key {
    Key::new(Kind::Container, service)
}

async fn carry_out(admin: &Admin, opened: &Opened, intent: Intent) -> Said {
    let command = intent.clone().masked().to_string();
    match intent {
        Intent::Help => help(),
        Intent::Cancel | Intent::Confirm => told("Nothing waits for an answer any more.".to_owned()),
        Intent::Status => status(admin, None, &[]),
        Intent::Services => status(admin, Some(Kind::Container), &[]),
        Intent::Health { services } => status(admin, Some(Kind::Container), &services),
        Intent::Model => status(admin, Some(Kind::ModelProvider), &[]),
        Intent::Routes => routes(admin),
        Intent::Audit(which) => audit(admin, opened, which).await,
        Intent::Events { service, since, until, limit } => events(admin, service.as_deref(), (since, until), limit).await,
        Intent::Why { service } => why(admin, &service).await,
        Intent::Plan { service } => plan(admin, service.as_deref()).await,
        Intent::Restart { services } => restart(admin, opened, &services).await,
        Intent::Release { what: Held::Services(services) } if services.len() == 1 => {
            ask(admin, opened, Question::Release(key(&services[0])), vec![format!("Release Container/{}?", services[0])])
        }
        Intent::Release { .. } => told("One at a time: `release redis`.".to_owned()),
        Intent::Hold { .. } => not_here("mooring hold container/NAME --for 2h --reason '…'"),
        Intent::Metrics { .. } => not_here("docker stats"),
        Intent::Logs { service, lines, .. } => not_here(&format!("docker logs --tail {lines} {service}")),
        Intent::Secrets => not_here("mooring describe environment/NAME"),
        Intent::EnvShow { .. } | Intent::EnvSet { .. } | Intent::EnvUnset { .. } => {
            not_here("an editor, on the file of the cascade")
        }
        Intent::Start { services } => {
            not_here(&format!("mooring release container/{}", services.first().map_or("NAME", String::as_str)))
        }
        Intent::Stop { .. } | Intent::DatabaseChange { .. } => {
            told(format!("`{command}` may lose something, and that cannot be done from here."))
        }
        Intent::Database { question } => database(admin, opened, &question).await,
    }
}

/// Understood, and not possible from here.
fn not_here(instead: &str) -> Said {
    told(format!("I understand that, and cannot do it from here yet. On the host: {instead}"))
}

fn titles(titles: &[&'static str]) -> Vec<Cow<'static, str>> {
    titles.iter().copied().map(Cow::Borrowed).collect()
}

fn help() -> Said {
    let rows = HELP.iter().map(|(what, example)| vec![(*what).to_owned(), (*example).to_owned()]).collect();
    Said {
        answer: vec!["What changes something is shown first, and done when you say `yes`.".to_owned()],
        head: titles(&["What", "As in"]),
        rows,
        ..Said::default()
    }
}

/// How objects are: all, those of a kind, or those with these names.
fn status(admin: &Admin, kind: Option<Kind>, names: &[String]) -> Said {
    let objects = admin.operator.objects(kind).into_iter();
    let meant = objects.filter(|object| names.is_empty() || names.contains(&object.key.name));
    let rows: Vec<Vec<String>> = meant
        .map(|object| {
            let name = object.key.to_string();
            let (state, message, since) = pages::standing(object.status.as_ref());
            vec![name, state, message, since]
        })
        .collect();
    let answer = match (rows.len(), rows.iter().filter(|row| row[1] == "Ready").count()) {
        (0, _) => vec!["There is nothing of the kind.".to_owned()],
        (1, _) => vec![format!("{}: {}. {}", rows[0][0], rows[0][1], rows[0][2])],
        (all, ready) if all == ready => vec![format!("All {all} are as declared.")],
        (all, ready) => vec![format!("{ready} of {all} are as declared.")],
    };
    Said { answer, head: titles(&["Object", "State", "What is so", "Since"]), rows, ..Said::default() }
}

fn routes(admin: &Admin) -> Said {
    let mut rows = Vec::new();
    for proxy in admin.operator.objects(Some(Kind::Proxy)) {
        let routes = proxy.manifest.as_ref().and_then(|manifest| manifest.pointer("/spec/routes")?.as_array().cloned());
        for route in routes.unwrap_or_default() {
            let text = |pointer: &str| match route.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => String::new(),
            };
            rows.push(vec![text("/host"), text("/path"), text("/to/container"), text("/to/port"), proxy.key.to_string()]);
        }
    }
    let answer = if rows.is_empty() { vec!["No Proxy declares any.".to_owned()] } else { Vec::new() };
    Said { answer, head: titles(&["Host", "Path", "To", "Port", "By"]), rows, ..Said::default() }
}

async fn audit(admin: &Admin, opened: &Opened, which: AuditOf) -> Said {
    let AuditOf { since, until, actor, operation, target, outcome, limit } = which;
    let limit = limit.map_or(ROWS, |limit| usize::try_from(limit).unwrap_or(ROWS)).min(500);
    let query = AuditQuery { actor, operation, target, outcome, since, until, ..AuditQuery::newest(limit) };
    match admin.operator.audit(&query, Some(&opened.actor())).await {
        Ok(entries) => {
            let rows = entries
                .into_iter()
                .rev()
                .map(|entry| vec![entry.created_at, entry.actor, entry.action, entry.because, entry.outcome]);
            table("No entry is meant.", &["When", "Who", "What", "Why", "Outcome"], rows.collect())
        }
        Err(error) => told(error),
    }
}

async fn events(
    admin: &Admin,
    service: Option<&str>,
    (since, until): (Option<jiff::Timestamp>, Option<jiff::Timestamp>),
    limit: Option<u32>,
) -> Said {
    let limit = limit.map_or(ROWS, |limit| usize::try_from(limit).unwrap_or(ROWS)).min(500);
    let key = service.map(key);
    match admin.operator.events(key.as_ref(), 500).await {
        Ok(events) => {
            let is_meant = |at: &str| {
                let at: Option<jiff::Timestamp> = at.parse().ok();
                at.is_none_or(|at| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until))
            };
            let meant = events.into_iter().rev().filter(|event| is_meant(&event.last_at)).take(limit);
            let rows = meant.map(|event| vec![event.last_at, event.object, event.reason, event.count.to_string(), event.message]);
            table("Nothing happened.", &["When", "Object", "Reason", "Times", "What"], rows.collect())
        }
        Err(error) => told(error),
    }
}

async fn why(admin: &Admin, service: &str) -> Said {
    let key = key(service);
    match admin.operator.why(&key, None).await {
        Ok(Some(why)) => {
            let mut answer = vec![format!("{} at {}, by {}.", why.object, why.at, why.actor), format!("Seen: {}.", why.seen)];
            answer.extend(why.rule_says.map(|rule| format!("The rule: {rule}.")));
            answer.push(format!("Outcome: {}.", why.outcome));
            answer.extend(why.proof.into_iter().map(|proof| format!("Proof: {proof}.")));
            let rows = why.steps.into_iter().map(|step| vec![step.action, step.because, step.outcome]).collect();
            Said { answer, head: titles(&["Step", "Because", "Outcome"]), rows, ..Said::default() }
        }
        Ok(None) => {
            let state = status(admin, Some(Kind::Container), &[service.to_owned()]);
            let answer = [vec![format!("Nothing was ever done to {service}.")], state.answer].concat();
            Said { answer, ..Said::default() }
        }
        Err(error) => told(error),
    }
}

async fn plan(admin: &Admin, service: Option<&str>) -> Said {
    let key = service.map(key);
    match admin.operator.plans(key.as_ref()).await {
        Ok(plans) => {
            let rows = plans.into_iter().flat_map(|plan| {
                let object = plan.key.to_string();
                let steps = plan.steps.into_iter().map(|step| ("", step));
                let withheld = plan.withheld.into_iter().map(|step| ("held back: ", step));
                steps
                    .chain(withheld)
                    .map(|(held, step)| vec![object.clone(), format!("{held}{}", step.action), step.because])
                    .collect::<Vec<_>>()
            });
            table("There is nothing to do.", &["Object", "Step", "Because"], rows.collect())
        }
        Err(error) => told(error),
    }
}

/// What can be asked in plain words without any model.
const TABLES: &str = "SELECT table_schema, table_name FROM information_schema.tables \
                      WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2";

/// Asks the database of the Environment, behind both walls: the statement is shown in full, and so is what became of it.
async fn database(admin: &Admin, opened: &Opened, question: &str) -> Said {
    let words = question.to_lowercase();
    let is_about_tables = words.contains("table") && ["what", "which", "list", "show"].iter().any(|ask| words.contains(ask));
    let begins = |word: &&str| words.trim_start().starts_with(*word);
    let is_sql = ["select", "with", "values", "table ", "explain"].iter().any(begins);
    let sql = match (is_sql, is_about_tables) {
        (true, _) => question,
        (false, true) => TABLES,
        (false, false) => {
            return told(
                "That is for the database, and no model is asked yet that could say it in SQL; SQL I can ask.".to_owned(),
            );
        }
    };
    let checked = match guard::check(sql) {
        Ok(checked) => checked,
        Err(refusal) => return told(format!("Not asked: {refusal}")),
    };
    let Some(url) = admin.operator.variable(DATABASE_URL) else {
        return told(format!("No Environment has a {DATABASE_URL}, so there is no database to ask."));
    };
    let answered = match Database::new(url.expose(), Limits::default()) {
        Ok(database) => database.ask(&checked).await,
        Err(error) => Err(error),
    };
    let error = answered.as_ref().err().map(|error| crate::error_chain(error));
    let words = format!("ask the database: {}", checked.sql());
    admin.operator.note(&opened.actor(), "AskDatabase", &words, error.as_deref()).await;
    match answered {
        Ok(answer) => {
            let more = if answer.truncated { ", and there are more" } else { "" };
            let told = format!("{} rows{more}, as {}, in {} ms", answer.rows.len(), answer.role, answer.took.as_millis());
            let rows = answer.rows.iter().map(|row| row.iter().map(text_of).collect()).collect();
            let head = answer.columns.into_iter().map(|column| column.name.into()).collect();
            Said { answer: vec![answer.sql, told], head, rows, ..Said::default() }
        }
        Err(error) => Said { answer: vec![checked.sql().to_owned(), crate::error_chain(&error)], ..Said::default() },
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn table(empty: &str, head: &[&'static str], rows: Vec<Vec<String>>) -> Said {
    let head = titles(head);
    if rows.is_empty() { told(empty.to_owned()) } else { Said { head, rows, ..Said::default() } }
}

async fn restart(admin: &Admin, opened: &Opened, services: &[String]) -> Said {
    let [service] = services else {
        let instead = services.iter().map(|service| format!("restart {service}")).collect();
        return Said { answer: vec!["One at a time, each with a yes of its own.".to_owned()], instead, ..Said::default() };
    };
    let key = key(service);
    match admin.operator.restartable(&key).await {
        Ok(shown) => {
            let lines = [vec![format!("Restart {}?", shown.name)], asked::about(&shown)].concat();
            ask(admin, opened, Question::Restart(key, shown), lines)
        }
        Err(error) => told(error),
    }
}

fn ask(admin: &Admin, opened: &Opened, question: Question, lines: Vec<String>) -> Said {
    let id = admin.confirmations.ask(&opened.name, question);
    let answer = [lines, vec!["Say `yes` within two minutes, or `cancel`.".to_owned()]].concat();
    Said { answer, question: Some(id), ..Said::default() }
}

async fn confirm(admin: &Admin, opened: &Opened) -> Said {
    match admin.confirmations.standing(&opened.name) {
        Some(id) => match asked::carry_out(admin, opened, &id).await {
            Ok((_, words)) => told(format!("Done: {words}. It is taken up at once, and stands in the audit log.")),
            Err((_, error)) => told(format!("Not done: {error}")),
        },
        None => told("Nothing waits for a yes.".to_owned()),
    }
}
