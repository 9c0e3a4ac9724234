//! `mooring get`: objects and how they are.

use anstyle::Style;
use clap::{Args, ValueEnum};
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Error, Exit,
    age::age,
    backend::Backend,
    output,
    selection::Selection,
    table::{Columns, Table},
};
use crate::{
    manifest::{
        API_VERSION, Key, Kind,
        status::{Condition, ConditionStatus, ConditionType, Status},
    },
    record::status::PULLING,
    settings::Settings,
    view::ObjectView,
};

/// List objects and how they are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mooring get
  mooring get container -o wide
  mooring get ctr/web -o yaml
  mooring get containers -w")]
pub(super) struct GetArgs {
    /// KIND, KIND/NAME, KIND NAME, or all
    #[arg(value_name = "OBJECT")]
    objects: Vec<String>,
    /// How to write them
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Goes on with every change
    #[arg(short, long)]
    watch: bool,
}

/// How objects are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each.
    #[default]
    #[value(alias = "text")]
    Table,
    /// A longer line for each.
    Wide,
    /// As Kubernetes would: a resource, or a list of them.
    Json,
    /// The same as YAML.
    Yaml,
    /// KIND/NAME alone.
    Name,
}

pub(super) async fn run(settings: &Settings, args: GetArgs) -> Result<Exit, Error> {
    let selection = Selection::parse(&args.objects)?;
    if args.watch {
        return watch(&Backend::running(settings).await?, &selection, args.output).await;
    }
    let backend = Backend::any(settings).await?;
    backend.warn().await;
    let objects = selection.pick(backend.objects(selection.kind()).await?)?;
    // Named alone, an object is answered alone; in a list, however short, it is one of a list.
    let is_one = matches!(&selection, Selection::Keys(keys) if keys.len() == 1);
    if objects.is_empty() && matches!(args.output, Format::Table | Format::Wide) {
        output::note("there are no objects");
        return Ok(Exit::Good);
    }
    output::print(&rendered(&objects, args.output, is_one, Timestamp::now()))?;
    Ok(Exit::Good)
}

const WATCHED: Columns = Columns::new(&[("NAME", 24), ("READY", 7), ("STATUS", 18), ("SINCE", 5), ("SUMMARY", 0)]);

async fn watch(backend: &Backend, selection: &Selection, format: Format) -> Result<Exit, Error> {
    // What was named has to be there at the beginning.
    selection.pick(backend.objects(selection.kind()).await?)?;
    backend.warn().await;
    let mut objects = backend.follow_objects(selection.kind()).await?;
    if matches!(format, Format::Table | Format::Wide) {
        output::line(&WATCHED.headings())?;
    }
    let mut last: std::collections::BTreeMap<Key, ObjectView> = std::collections::BTreeMap::new();
    while let Some(object) = objects.next().await.transpose()? {
        if !selection.contains(&object.key) || last.get(&object.key) == Some(&object) {
            continue;
        }
        match format {
            Format::Json => output::json_line(&resource(&object))?,
            Format::Yaml => output::print(&format!("---\n{}", output::yaml(&resource(&object))))?,
            Format::Name => output::line(&name(&object.key))?,
            Format::Table | Format::Wide => {
                let style = style(&object);
                let row = WATCHED.row(cells(&object, true, Timestamp::now()));
                output::line(&format!("{style}{row}{style:#}"))?;
            }
        }
        last.insert(object.key.clone(), object);
    }
    Ok(Exit::Good)
}

fn rendered(objects: &[ObjectView], format: Format, is_one: bool, now: Timestamp) -> String {
    match format {
        Format::Table => table(objects, now),
        Format::Wide => wide_table(objects, now),
        Format::Name => output::lines(objects.iter().map(|object| name(&object.key))),
        Format::Yaml => objects.iter().map(|object| output::yaml(&resource(object))).collect::<Vec<_>>().join("---\n"),
        Format::Json => {
            let value = match objects {
                [object] if is_one => resource(object),
                objects => {
                    json!({"apiVersion": "v1", "kind": "List", "items": objects.iter().map(resource).collect::<Vec<_>>()})
                }
            };
            format!("{value:#}\n")
        }
    }
}

/// Kinds are told apart where there are several.
fn has_kinds(objects: &[ObjectView]) -> bool {
    objects.iter().any(|object| object.key.kind != objects[0].key.kind)
}

fn table(objects: &[ObjectView], now: Timestamp) -> String {
    let mut table = Table::new(&["NAME", "READY", "STATUS", "SINCE", "SUMMARY"]);
    for object in objects {
        table.row(cells(object, has_kinds(objects), now), style(object));
    }
    table.render()
}

fn wide_table(objects: &[ObjectView], now: Timestamp) -> String {
    let mut table = Table::new(&["NAME", "READY", "STATUS", "SINCE", "SUMMARY", "SOURCE", "GENERATION", "MESSAGE"]);
    for object in objects {
        let source = object.source.clone().unwrap_or_else(|| "-".to_owned());
        let message = object.status.as_ref().and_then(telling).map_or_else(String::new, |condition| condition.message.clone());
        let more = [source, object.generation.to_string(), message];
        table.row(cells(object, has_kinds(objects), now).into_iter().chain(more), style(object));
    }
    table.render()
}

fn cells(object: &ObjectView, with_kind: bool, now: Timestamp) -> [String; 5] {
    let ready = object.status.as_ref().and_then(|status| status.condition(ConditionType::Ready));
    [
        if with_kind { name(&object.key) } else { object.key.name.clone() },
        ready.map_or_else(|| "-".to_owned(), |ready| format!("{:?}", ready.status)),
        headline(object),
        ready.map_or_else(|| "-".to_owned(), |ready| age(&ready.last_transition_time, now)),
        summary(object),
    ]
}

/// What it is; of a model provider who answers, and while a model is pulled how far that is.
fn summary(object: &ObjectView) -> String {
    let answers = |condition: &Condition| {
        object.key.kind == Kind::ModelProvider
            && condition.kind == ConditionType::Ready
            && condition.status == ConditionStatus::True
    };
    match object.status.as_ref().and_then(telling) {
        Some(condition) if condition.reason == PULLING || answers(condition) => condition.message.clone(),
        Some(_) | None => object.summary.clone(),
    }
}

/// `container/web`, as it can be typed.
pub(super) fn name(key: &Key) -> String {
    format!("{}/{}", key.kind.as_str().to_ascii_lowercase(), key.name)
}

/// One word for how the object is.
pub(super) fn headline(object: &ObjectView) -> String {
    match (&object.source, object.status.as_ref().and_then(telling)) {
        (None, _) => "Removing".to_owned(),
        (Some(_), Some(condition)) => condition.reason.clone(),
        (Some(_), None) => "Pending".to_owned(),
    }
}

/// The condition that says most: the worst that holds, or else the one about being ready.
fn telling(status: &Status) -> Option<&Condition> {
    let holds = |kind| status.condition(kind).filter(|condition| condition.status == ConditionStatus::True);
    let worst = [ConditionType::CrashLoop, ConditionType::Held, ConditionType::Degraded].into_iter().find_map(holds);
    worst.or_else(|| status.condition(ConditionType::Ready))
}

fn style(object: &ObjectView) -> Style {
    let holds = |kind| {
        let condition = object.status.as_ref().and_then(|status| status.condition(kind));
        condition.is_some_and(|condition| condition.status == ConditionStatus::True)
    };
    match () {
        // It runs as declared, but not as what was last written says.
        () if holds(ConditionType::Ready) && holds(ConditionType::Degraded) => output::WARN,
        () if holds(ConditionType::Ready) => output::PLAIN,
        () if holds(ConditionType::CrashLoop) || holds(ConditionType::Degraded) => output::BAD,
        () if object.source.is_none() => output::FAINT,
        () => output::WARN,
    }
}

/// The object as the resource that Kubernetes would show: the manifest with what is reported about it.
pub(super) fn resource(object: &ObjectView) -> Value {
    let mut resource = object
        .manifest
        .clone()
        .unwrap_or_else(|| json!({"apiVersion": API_VERSION, "kind": object.key.kind, "metadata": {"name": object.key.name}}));
    if let Some(metadata) = resource.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("generation".to_owned(), json!(object.generation));
    }
    if let (Some(fields), Some(status)) = (resource.as_object_mut(), &object.status) {
        fields.insert("status".to_owned(), json!(status));
    }
    resource
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::http::fake;

    fn now() -> Timestamp {
        "2026-01-02T03:14:05Z".parse().unwrap()
    }

    fn plain(objects: &[ObjectView], format: Format) -> String {
        anstream::adapter::strip_str(&rendered(objects, format, objects.len() == 1, now())).to_string()
    }

    #[test]
    fn objects_of_several_kinds_are_listed_with_their_kinds() {
        let gone = ObjectView { source: None, status: None, ..fake::web(ConditionStatus::Unknown) };
        expect![[r#"
            NAME               READY   STATUS       SINCE   SUMMARY
            environment/shop   -       Pending      -       .
            container/web      False   BackingOff   10m     nginx:1.27
            container/web      -       Removing     -       nginx:1.27
        "#]]
        .assert_eq(&plain(&[fake::shop(), fake::web(ConditionStatus::False), gone], Format::Table));
    }

    #[test]
    fn a_wide_list_says_why_and_from_where() {
        expect![[r#"
            NAME   READY   STATUS       SINCE   SUMMARY      SOURCE       GENERATION   MESSAGE
            web    False   BackingOff   10m     nginx:1.27   web.yaml:1   2            it exited with 137; next try in 4s
        "#]]
        .assert_eq(&plain(&[fake::web(ConditionStatus::False)], Format::Wide));
    }

    #[test]
    fn a_list_says_how_far_a_pull_is() {
        let mut model = fake::web(ConditionStatus::False);
        for condition in &mut model.status.as_mut().unwrap().conditions {
            condition.reason = PULLING.to_owned();
            condition.message = "pulling gemma3:4b: 37 % of 3.3 GB, 41.0 MB/s, 51s left".to_owned();
        }
        expect![[r#"
            NAME   READY   STATUS    SINCE   SUMMARY
            web    False   Pulling   10m     pulling gemma3:4b: 37 % of 3.3 GB, 41.0 MB/s, 51s left
        "#]]
        .assert_eq(&plain(&[model], Format::Table));
    }

    #[test]
    fn a_list_says_who_answers_for_a_model_provider() {
        let mut model = fake::web(ConditionStatus::True);
        model.key = Key::new(Kind::ModelProvider, "default");
        for condition in &mut model.status.as_mut().unwrap().conditions {
            condition.message = "openai/gpt-4o-mini answers, because OPENAI_API_KEY is set".to_owned();
        }
        expect![[r#"
            NAME      READY   STATUS      SINCE   SUMMARY
            default   True    Converged   10m     openai/gpt-4o-mini answers, because OPENAI_API_KEY is set
        "#]]
        .assert_eq(&plain(&[model], Format::Table));
    }

    #[test]
    fn names_can_be_typed_again() {
        assert_eq!(plain(&[fake::shop(), fake::web(ConditionStatus::True)], Format::Name), "environment/shop\ncontainer/web\n");
    }

    #[test]
    fn yaml_is_the_manifest_with_its_status() {
        expect![[r#"
            apiVersion: mooring.dev/v1alpha1
            kind: Container
            metadata:
              name: web
              generation: 2
            spec:
              image: nginx:1.27
            status:
              observedGeneration: 2
              conditions:
              - type: Ready
                status: "True"
                reason: Converged
                message: it exited with 137; next try in 4s
                lastTransitionTime: "2026-01-02T03:04:05Z"
        "#]]
        .assert_eq(&plain(&[fake::web(ConditionStatus::True)], Format::Yaml));
    }

    #[test]
    fn json_is_one_resource_or_a_list() {
        let one: Value = serde_json::from_str(&plain(&[fake::shop()], Format::Json)).unwrap();
        assert_eq!(one["metadata"]["name"], "shop");
        let many: Value = serde_json::from_str(&plain(&[fake::shop(), fake::web(ConditionStatus::True)], Format::Json)).unwrap();
        assert_eq!(many["items"].as_array().unwrap().len(), 2);
    }
}
