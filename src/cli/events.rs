//! `mooring events`: what people are told.

use clap::Args;
use futures::StreamExt;
use serde_json::json;

use super::{
    Error, Exit,
    age::moment,
    backend::Backend,
    output::{self, Format},
    table::Columns,
};
use crate::{manifest::Key, settings::Settings, view::EventView};

/// Show what happened, in words
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring events
  mooring events --for container/web -w
  mooring events --limit 1000 -o json")]
pub(super) struct EventsArgs {
    /// Only those of one object
    #[arg(long = "for", value_name = "KIND/NAME")]
    object: Option<Key>,
    /// How many of the last ones
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Goes on with every new one
    #[arg(short, long)]
    watch: bool,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) async fn run(settings: &Settings, args: EventsArgs) -> Result<Exit, Error> {
    let (object, limit) = (args.object.as_ref(), usize::from(args.limit));
    if args.watch {
        return watch(&Backend::running(settings).await?, object, limit, args.output).await;
    }
    let events = Backend::any(settings).await?.events(object, limit).await?;
    match args.output {
        Format::Json => output::json(&json!({"items": events}))?,
        Format::Text if events.is_empty() => output::note("there are no events"),
        Format::Text => output::print(&rendered(&events))?,
    }
    Ok(Exit::Good)
}

async fn watch(backend: &Backend, object: Option<&Key>, limit: usize, format: Format) -> Result<Exit, Error> {
    let mut events = backend.follow_events(object, limit).await?;
    if format == Format::Text {
        output::line(&COLUMNS.headings())?;
    }
    while let Some(event) = events.next().await.transpose()? {
        match format {
            Format::Json => output::json_line(&event)?,
            Format::Text => output::line(&row(&event))?,
        }
    }
    Ok(Exit::Good)
}

const COLUMNS: Columns = Columns::new(&[("TIME", 20), ("TYPE", 7), ("REASON", 18), ("OBJECT", 24), ("MESSAGE", 0)]);

/// A list of events.
pub(super) fn rendered(events: &[EventView]) -> String {
    output::lines(std::iter::once(COLUMNS.headings()).chain(events.iter().map(row)))
}

fn row(event: &EventView) -> String {
    let times =
        if event.count > 1 { format!(" ({} times since {})", event.count, moment(&event.first_at)) } else { String::new() };
    let style = if event.severity == "Normal" { output::PLAIN } else { output::WARN };
    let cells = [
        moment(&event.last_at),
        event.severity.clone(),
        event.reason.clone(),
        event.object.clone(),
        format!("{}{times}", event.message),
    ];
    format!("{style}{}{style:#}", COLUMNS.row(cells))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::http::fake::event;

    #[test]
    fn what_happened_more_than_once_is_one_line_with_a_count() {
        expect![[r#"
            TIME                   TYPE      REASON               OBJECT                     MESSAGE
            2026-01-02T03:05:05Z   Normal    Created              Container/web              start web, because it exited with 137
            2026-01-02T03:05:05Z   Normal    Started              Container/web              start web, because it exited with 137 (3 times since 2026-01-02T03:04:05Z)
        "#]]
        .assert_eq(&anstream::adapter::strip_str(&rendered(&[event("Created", 1), event("Started", 3)])).to_string());
    }
}
