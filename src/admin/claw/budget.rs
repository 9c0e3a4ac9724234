//! What models may cost: limits, prices, and what was spent.
//!
//! Money is in micro-dollars, a millionth of a dollar, and never in fractions.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Error, WRITTEN, json, kept, text};
use crate::admin::store::{self, Store};

/// Where the limits stand.
const STORED: &str = "budget";
/// A thousand million dollars, or tokens of a price: whoever means more has slipped.
const MOST: u64 = 1_000_000_000_000_000;
/// Prices that can be told apart.
const PRICES: usize = 100;
/// How far back is shown at most, in days.
const DAYS: u32 = 366;

/// What may be spent, and what it is counted by. What has no limit is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Micro-dollars in a day (UTC).
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub daily_micros: Option<u64>,
    /// Micro-dollars in a month (UTC).
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub monthly_micros: Option<u64>,
    /// Tokens in a day, in and out.
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub daily_tokens: Option<u64>,
    /// Tokens in a month, in and out.
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub monthly_tokens: Option<u64>,
    /// What models cost; the first that fits counts. What runs on this host costs nothing.
    #[schemars(length(max = 100))]
    pub prices: Vec<Price>,
}

/// What models cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// `openai`, `anthropic`; `*` stands for anything.
    #[schemars(length(min = 1, max = 60), regex(pattern = WRITTEN))]
    pub provider: String,
    /// The model's name; `*` in it stands for anything.
    #[schemars(length(min = 1, max = 120), regex(pattern = WRITTEN))]
    pub model: String,
    /// Micro-dollars for a million tokens that go in.
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub input_micros_per_million: u64,
    /// Micro-dollars for a million tokens that come out.
    #[schemars(range(min = 0, max = 1_000_000_000_000_000_u64))]
    pub output_micros_per_million: u64,
}

/// What was spent in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Times a model was asked.
    pub requests: i64,
    /// Tokens that went in.
    pub input_tokens: i64,
    /// Tokens that came out.
    pub output_tokens: i64,
    /// What it cost, in micro-dollars.
    pub micros: i64,
}

/// What one model cost on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The day, in UTC.
    pub day: String,
    /// Whose model.
    pub provider: String,
    /// Which.
    pub model: String,
    /// What.
    #[serde(flatten)]
    pub spent: Spent,
}

/// What was spent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Today.
    pub today: Spent,
    /// Since the first of this month.
    pub month: Spent,
    /// By day and model, newest first.
    pub days: Vec<Line>,
}

/// Why a model is not asked.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A limit is reached.
    #[error("the {0} is used up; `PUT /claw/budget` sets another one")]
    UsedUp(&'static str),
    /// There is a limit in money, and nobody knows what this model costs.
    #[error("there is a limit in money, and {provider}'s {model} has no price; `PUT /claw/budget` sets one")]
    NoPrice {
        /// Whose model.
        provider: String,
        /// Which.
        model: String,
    },
    /// What was spent is not known.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Budget {
    /// What this model costs for a million tokens, in and out. None: nobody knows.
    fn price(&self, provider: &str, model: &str) -> Option<(u64, u64)> {
        let fits =
            |price: &&Price| super::playbooks::fits(&price.provider, provider) && super::playbooks::fits(&price.model, model);
        let price = self.prices.iter().find(fits).map(|price| (price.input_micros_per_million, price.output_micros_per_million));
        // It is the host's own electricity.
        price.or((provider == "ollama").then_some((0, 0)))
    }

    fn checked(&self) -> Result<(), Error> {
        let limits = [self.daily_micros, self.monthly_micros, self.daily_tokens, self.monthly_tokens];
        let prices = self.prices.iter().flat_map(|price| [price.input_micros_per_million, price.output_micros_per_million]);
        if limits.into_iter().flatten().chain(prices).any(|number| number > MOST) {
            return Err(Error::Invalid(format!("{MOST} is the most that a limit or a price can be")));
        }
        if self.prices.len() > PRICES {
            return Err(Error::Invalid(format!("{PRICES} prices are the most")));
        }
        for price in &self.prices {
            text("provider", &price.provider, 60)?;
            text("model", &price.model, 120)?;
        }
        Ok(())
    }
}

/// Tokens in a day where nobody has set a budget: a few hundred questions, which nobody asks by hand.
const A_DAY: u64 = 500_000;

/// The budget in force; a modest one where none was set.
pub async fn read(store: &Store) -> Result<Budget, Error> {
    match store.setting(STORED).await? {
        Some(text) => kept(&text),
        None => Ok(Budget { daily_tokens: Some(A_DAY), ..Budget::default() }),
    }
}

/// Sets another one.
pub async fn set(store: &Store, budget: &Budget) -> Result<(), Error> {
    budget.checked()?;
    Ok(store.set(STORED, Some(&json(budget))).await?)
}

/// Whether this model may be asked once more. What one question costs is only known afterwards, so the last one may go beyond.
pub async fn may_spend(store: &Store, provider: &str, model: &str, now: Timestamp) -> Result<(), Refused> {
    let budget = read(store).await.map_err(refused)?;
    if budget.daily_micros.or(budget.monthly_micros).is_some() && budget.price(provider, model).is_none() {
        return Err(Refused::NoPrice { provider: provider.to_owned(), model: model.to_owned() });
    }
    let Usage { today, month, .. } = usage(store, now, 1).await.map_err(refused)?;
    let tokens = |spent: Spent| spent.input_tokens.saturating_add(spent.output_tokens);
    let limits = [
        (budget.daily_micros, today.micros, "money for today"),
        (budget.monthly_micros, month.micros, "money for this month"),
        (budget.daily_tokens, tokens(today), "number of tokens for today"),
        (budget.monthly_tokens, tokens(month), "number of tokens for this month"),
    ];
    let is_reached = |(limit, spent, _): &(Option<u64>, i64, _)| {
        limit.is_some_and(|limit| u64::try_from(*spent).is_ok_and(|spent| spent >= limit))
    };
    limits.into_iter().find(is_reached).map_or(Ok(()), |(_, _, what)| Err(Refused::UsedUp(what)))
}

fn refused(error: Error) -> Refused {
    match error {
        Error::Store(error) => Refused::Store(error),
        other => Refused::Store(sqlx::Error::Decode(Box::new(other)).into()),
    }
}

/// Writes down what a question to a model took.
pub async fn spent(store: &Store, model: (&str, &str), tokens: (u64, u64), now: Timestamp) -> Result<(), Error> {
    let (provider, model) = model;
    let (input, output) = tokens;
    let (input_price, output_price) = read(store).await?.price(provider, model).unwrap_or_default();
    let cost = u128::from(input) * u128::from(input_price) + u128::from(output) * u128::from(output_price);
    let number = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
    let query = sqlx::query(
        "INSERT INTO usage VALUES ($1, $2, $3, 1, $4, $5, $6) ON CONFLICT (day, provider, model) DO UPDATE SET \
         requests = requests + 1, input_tokens = input_tokens + excluded.input_tokens, \
         output_tokens = output_tokens + excluded.output_tokens, micros = micros + excluded.micros",
    );
    let query = query.bind(day(now)).bind(provider).bind(model).bind(number(input.into())).bind(number(output.into()));
    // Part of a micro-dollar is a whole one: what is spent is never told as less.
    query.bind(number(cost.div_ceil(1_000_000))).execute(store.pool()).await?;
    Ok(())
}

/// What was spent in the last `days` days, today among them.
pub async fn usage(store: &Store, now: Timestamp, days: u32) -> Result<Usage, Error> {
    if !(1..=DAYS).contains(&days) {
        return Err(Error::Invalid(format!("the number of days has to be from 1 to {DAYS}")));
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let first = today.saturating_sub(i64::from(days - 1).days());
    let query = sqlx::query_as(
        "SELECT day, provider, model, requests, input_tokens, output_tokens, micros FROM usage \
         WHERE day >= $1 ORDER BY day DESC, provider, model LIMIT 5000",
    );
    let rows: Vec<(String, String, String, i64, i64, i64, i64)> = query.bind(first.to_string()).fetch_all(store.pool()).await?;
    let line = |(day, provider, model, requests, input_tokens, output_tokens, micros)| Line {
        day,
        provider,
        model,
        spent: Spent { requests, input_tokens, output_tokens, micros },
    };
    let days = rows.into_iter().map(line).collect();
    let month = since(store, &today.first_of_month().to_string()).await?;
    Ok(Usage { today: since(store, &today.to_string()).await?, month, days })
}

async fn since(store: &Store, day: &str) -> Result<Spent, Error> {
    let query = sqlx::query_as(
        "SELECT coalesce(sum(requests), 0), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), \
         coalesce(sum(micros), 0) FROM usage WHERE day >= $1",
    );
    let (requests, input_tokens, output_tokens, micros) = query.bind(day).fetch_one(store.pool()).await?;
    Ok(Spent { requests, input_tokens, output_tokens, micros })
}

fn day(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC).date().to_string()
}
