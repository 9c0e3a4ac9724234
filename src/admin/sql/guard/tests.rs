use super::*;

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("-- "))
}

const LEGIT: &str = include_str!("../../../../tests/sql/legit.txt");
const MORE: &str = include_str!("../../../../tests/sql/more.txt");
const ATTACKS: &str = include_str!("../../../../tests/sql/attacks.txt");

#[test]
fn questions_pass() {
    let refused: Vec<String> =
        lines(LEGIT).chain(lines(MORE)).filter_map(|sql| check(sql).err().map(|refusal| format!("{refusal}: {sql}"))).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn attacks_are_refused() {
    let passed: Vec<&str> = lines(ATTACKS).filter(|sql| check(sql).is_ok()).collect();
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

const MORE_ATTACKS: &str = include_str!("../../../../tests/sql/more_attacks.txt");

/// Those that are one even inside another statement: a single word is the name of a column there.
fn attacks_in_places() -> impl Iterator<Item = &'static str> {
    attacks().filter(|sql| sql.contains(' '))
}

fn attacks() -> impl Iterator<Item = &'static str> {
    lines(ATTACKS).chain(lines(MORE_ATTACKS))
}

/// Ways to write the same statement so that it looks like another one.
const DISGUISES: &[fn(&str) -> String] = &[
    |sql| sql.to_uppercase(),
    |sql| sql.to_lowercase(),
    |sql| sql.replace(' ', "\t\n "),
    |sql| sql.replace(' ', "/**/"),
    |sql| sql.replace(' ', " /* it's */ "),
    |sql| sql.replace(' ', " -- it's\n"),
    |sql| sql.replace(' ', " -- it's\r"),
    |sql| sql.replace(' ', "/* /* */ SELECT */"),
    |sql| sql.replace(' ', "\u{a0}"),
    |sql| sql.replace(' ', "\u{2003}"),
    |sql| sql.replace('(', " /**/ ("),
    |sql| sql.replace('.', " . "),
    |sql| format!(";{sql}"),
    |sql| format!("{sql};"),
    |sql| format!("{sql} --"),
    |sql| format!("\u{feff}{sql}"),
    quoted,
];

/// Places inside another statement.
const PLACES: &[fn(&str) -> String] = &[
    |sql| format!("({sql})"),
    |sql| format!("EXPLAIN {sql}"),
    |sql| format!("EXPLAIN (COSTS OFF) {sql}"),
    |sql| format!("SELECT * FROM ({sql}) x"),
    |sql| format!("SELECT * FROM shop.orders, LATERAL ({sql}) x"),
    |sql| format!("SELECT ({sql})"),
    |sql| format!("SELECT EXISTS ({sql})"),
    |sql| format!("SELECT ARRAY({sql})"),
    |sql| format!("SELECT 1 WHERE 1 IN ({sql})"),
    |sql| format!("SELECT 1 ORDER BY ({sql})"),
    |sql| format!("SELECT 1 LIMIT ({sql})"),
    |sql| format!("VALUES (({sql}))"),
    |sql| format!("SELECT 1 UNION ALL {sql}"),
    |sql| format!("SELECT 1 UNION ({sql})"),
    |sql| format!("WITH x AS ({sql}) SELECT * FROM x"),
    |sql| format!("WITH x AS MATERIALIZED ({sql}) SELECT 1"),
    |sql| format!("WITH x AS (SELECT 1) {sql}"),
    |sql| format!("SELECT 1; {sql}"),
    |sql| format!("{sql}; SELECT 1"),
    |sql| format!("SELECT CASE WHEN true THEN ({sql}) END"),
    |sql| format!("SELECT coalesce(NULL, ({sql}))"),
    |sql| format!("SELECT count(*) FILTER (WHERE ({sql}) IS NULL)"),
    |sql| format!("SELECT xmlelement(name a, ({sql}))"),
];

/// Every name that is called or that has a schema, in quotes.
fn quoted(sql: &str) -> String {
    let Ok(mut tokens) = lexer::tokens(sql) else { return sql.to_owned() };
    for at in 0..tokens.len() {
        let is_named = tokens.get(at + 1).is_some_and(|next| next.is_mark("(") || next.is_mark("."))
            || at.checked_sub(1).is_some_and(|before| tokens[before].is_mark("."));
        if let Some(name) = tokens[at].as_name().map(str::to_owned).filter(|_| is_named) {
            tokens[at] = Token::new(lexer::Word::Quoted(name));
        }
    }
    lexer::write(&tokens)
}

#[test]
fn attacks_of_our_own_are_refused() {
    let passed: Vec<&str> = attacks().filter(|sql| check(sql).is_ok()).collect();
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

#[test]
fn a_disguise_makes_no_attack_a_question() {
    for sql in attacks() {
        for (number, disguise) in DISGUISES.iter().enumerate() {
            // In quotes a name in other letters is another name.
            if number < 2 && sql.contains('"') {
                continue;
            }
            let disguised = disguise(sql);
            assert!(check(&disguised).is_err(), "disguise {number}: {disguised}");
        }
    }
}

#[test]
fn an_attack_inside_a_question_is_one() {
    for sql in attacks_in_places() {
        for (number, place) in PLACES.iter().enumerate() {
            let placed = place(sql);
            assert!(check(&placed).is_err(), "place {number}: {placed}");
        }
    }
}

#[test]
fn a_question_in_disguise_is_still_one() {
    let keeps: [fn(&str) -> String; 6] = [
        |sql| sql.replace("SELECT ", "sElEcT\t\n"),
        |sql| format!("/* DROP TABLE x; */ {sql} -- DELETE"),
        |sql| format!("\r\n{sql}\n;;"),
        |sql| sql.replace("FROM ", "FROM /* it's */ "),
        |sql| sql.replace("FROM ", "FROM -- it's\n"),
        |sql| sql.replace(", ", ","),
    ];
    for sql in lines(LEGIT).chain(lines(MORE)) {
        for keep in keeps {
            let disguised = keep(sql);
            // A string may hold what is put in its place.
            if disguised.contains("'%") || sql.contains("$tag$") || sql.contains("', '") {
                continue;
            }
            assert!(check(&disguised).is_ok(), "{:?}: {disguised}", check(&disguised));
        }
    }
}

#[test]
fn what_is_run_is_what_was_written_without_its_comments() {
    let run = |sql: &str| check(sql).unwrap().sql().to_owned();
    assert_eq!(
        run("select  Id, -- the key\n   \"Full Name\"\nfrom shop.customers /* all */ where note = E'it\\'s' AND x = $$a'b$$;"),
        "select Id,\n   \"Full Name\"\nfrom shop.customers where note = 'it''s' AND x = 'a''b'"
    );
    assert_eq!(run("SELECT a.b::int, c[1], - - 1, count(*), t.* FROM t"), "SELECT a.b::int, c[1], - - 1, count(*), t.* FROM t");
    assert_eq!(run("SELECT 1--\r+1"), "SELECT 1 + 1", "a comment ends where PostgreSQL ends it");
    assert_eq!(run("SELECT 'a\\'"), "SELECT 'a\\'");
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let refusal = |sql: &str| check(sql).unwrap_err().to_string();
    assert_eq!(refusal("  -- nothing\n"), "there is no statement");
    assert_eq!(refusal("SELECT 1; SELECT 2"), "only one statement is run at a time");
    assert_eq!(refusal("delete from x"), "a question begins with SELECT, VALUES, TABLE, WITH, EXPLAIN or SHOW, not with DELETE");
    assert_eq!(refusal("SELECT shop.touch('x')"), "the function shop.touch is not one of those that a question may call");
    assert_eq!(refusal("SELECT f(1)"), "the function f is not one of those that a question may call");
    assert_eq!(refusal("TABLE pg_shadow"), "pg_shadow is not one of the system's relations that a question may read");
    assert_eq!(refusal("SELECT * FROM a FOR UPDATE"), "locking rows is more than reading");
    assert_eq!(refusal("EXPLAIN ANALYZE SELECT 1"), "EXPLAIN ANALYZE, which runs the statement, is more than reading");
    assert_eq!(refusal("WITH a AS (DELETE FROM b RETURNING 1) SELECT * FROM a"), "changing rows is more than reading");
    assert_eq!(refusal("SELECT 'a"), "the statement holds quotes without an end, which is not run here");
}

#[test]
fn what_is_too_long_or_too_deep_is_refused_and_breaks_nothing() {
    assert_eq!(check(&"(".repeat(100_000)).unwrap_err(), Refusal::TooLong);
    for (open, close) in [("(", ")"), ("abs(", ")"), ("ARRAY[", "]"), ("(SELECT ", ")"), ("CASE WHEN a THEN ", " END")] {
        let deep = |times: usize| check(&format!("SELECT {}1{}", open.repeat(times), close.repeat(times)));
        assert!(deep(20).is_ok(), "{open}");
        assert_eq!(deep(1000).unwrap_err(), Refusal::TooDeep, "{open}");
    }
    // As long as it may be, and walked to its end.
    assert!(check(&format!("SELECT 1{}", " + 1".repeat(8000))).is_ok());
    assert!(check(&format!("SELECT 1{} + pg_sleep(1)", " + 1".repeat(8000))).is_err());
    assert!(check(&format!("SELECT 1{} UNION SELECT lo_creat(1)", " UNION SELECT 1".repeat(2000))).is_err());
    for endless in ["- ", "NOT ", "~ "] {
        assert!(check(&format!("SELECT {}1", endless.repeat(8000))).is_err(), "{endless}");
    }
}

proptest::proptest! {
    #[test]
    fn what_is_written_again_has_the_same_words(sql in "[a-cE '\"$\\\\/*\\-+;.(){}@|:0-9\n\r\u{e9}\u{a0}]{0,40}") {
        if let Ok(tokens) = lexer::tokens(&sql) {
            let again = lexer::tokens(&lexer::write(&tokens)).unwrap();
            let words = |tokens: &[Token]| tokens.iter().map(|token| token.word.clone()).collect::<Vec<_>>();
            proptest::prop_assert_eq!(words(&tokens), words(&again));
        }
    }

    #[test]
    fn two_disguises_in_two_places_make_no_attack_a_question(
        attack in 0..attacks_in_places().count(), disguise in 2..DISGUISES.len(), place in 0..PLACES.len(), outer in 0..PLACES.len(),
    ) {
        let sql = attacks_in_places().nth(attack).unwrap();
        let hidden = PLACES[outer](&PLACES[place](&DISGUISES[disguise](sql)));
        proptest::prop_assert!(check(&hidden).is_err(), "{}", hidden);
    }

    #[test]
    fn words_of_attacks_in_any_order_call_nothing_that_is_not_on_the_list(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "SELECT", "FROM", "(", ")", ",", "evil", "x", "1", "'a'", "AS", "WITH", "TABLE", "ONLY", "ROWS", "LATERAL", "UNION", ".",
            "OVER", "::", "text", "SEARCH", "DEPTH", "FIRST", "BY", "SET", "CYCLE", "USING", "name", "xmlelement", "WHERE", "evil(1)",
        ]), 0..14),
    ) {
        let sql = format!("SELECT 1 {}", words.join(" "));
        if let Ok(question) = check(&sql) {
            // An alias with columns is no call, and its columns are no numbers.
            proptest::prop_assert!(!question.sql().contains("evil(1"), "{}", question.sql());
        }
    }
}

#[test]
fn a_change_of_rows_of_one_table_is_understood_with_its_table_and_whether_it_spares_any() {
    let all = [
        "INSERT INTO shop.orders (customer_id, total) VALUES (1, 2.5)",
        "insert into shop.orders select * from shop.customers",
        "INSERT INTO \"Odd Name\" DEFAULT VALUES",
        "UPDATE shop.customers SET city = lower(city) WHERE id IN (SELECT customer_id FROM shop.orders);",
        "UPDATE users SET a = 1",
        "DELETE FROM shop.orders WHERE total < 0 RETURNING id",
        "delete from shop.orders",
    ];
    let told: Vec<String> = all
        .iter()
        .map(|sql| match check_change(sql) {
            Ok(Change { verb, table, is_whole, .. }) => format!("{verb} {table}{}", if is_whole { ", all" } else { "" }),
            Err(refusal) => format!("{sql}: {refusal}"),
        })
        .collect();
    expect_test::expect![[r#"
        INSERT shop.orders
        INSERT shop.orders
        INSERT "Odd Name"
        UPDATE shop.customers
        UPDATE users, all
        DELETE shop.orders
        DELETE shop.orders, all"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_change_does_nothing_besides_and_calls_nothing_that_a_question_may_not() {
    let all = [
        "SELECT 1",
        "DROP TABLE shop.orders",
        "UPDATE a SET b = 1; DELETE FROM c",
        "WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone",
        "INSERT INTO b WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone",
        "DELETE FROM a WHERE pg_terminate_backend(1)",
        "DELETE FROM a WHERE shop.wipe() IS NULL",
        "UPDATE a SET b = lo_import('/etc/passwd')",
        "INSERT INTO a (b) VALUES (pg_read_file('/etc/passwd'))",
        "INSERT INTO a (b, dblink) SELECT dblink('host=x', 'y')",
        "UPDATE pg_authid SET rolsuper = true",
        "DELETE FROM pg_catalog.pg_class",
        "INSERT INTO information_schema.sql_features VALUES (1)",
        "UPDATE a SET b = 1 FROM pg_shadow",
        "TRUNCATE a",
        "COPY a FROM PROGRAM 'id'",
        "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE",
        "EXPLAIN ANALYZE DELETE FROM a",
        "UPDATE a SET b = 1 WHERE id = 1 OR pg_sleep(5) IS NULL",
        "UPDATE a SET b = 1 WHERE (true) UNION SELECT 1",
        "UPDATE a SET b = 1 WHERE true) UNION (SELECT 1",
        "UPDATE a SET b = (DELETE FROM c RETURNING 1)",
        "UPDATE a SET (b, c) = (SELECT shop.touch('x'), 1)",
        "UPDATE a SET b = 1 RETURNING pg_read_file('/etc/passwd')",
        "UPDATE a SET b[shop.touch('x')] = 1",
        "UPDATE a SET b = 1 FROM shop.touch('x') t",
        "UPDATE a SET b = 1 FROM (SELECT 1 FOR UPDATE) t",
        "UPDATE a SET b = 1 FROM c JOIN pg_authid p ON true",
        "UPDATE a, c SET b = 1",
        "UPDATE ONLY (pg_authid) SET rolsuper = true",
        "DELETE FROM a USING pg_authid",
        "DELETE FROM a USING c, LATERAL (SELECT shop.touch(c.x)) t",
        "DELETE FROM a WHERE id IN (WITH g AS (DELETE FROM c RETURNING id) SELECT id FROM g)",
        "DELETE FROM a WHERE id = 1 RETURNING (SELECT shop.touch('x'))",
        "DELETE FROM a; COMMIT",
        "INSERT INTO a SELECT 1 ON CONFLICT (x) DO UPDATE SET y = lo_import('/etc/passwd')",
        "INSERT INTO a SELECT 1 ON CONFLICT (shop.touch(x)) DO NOTHING",
        "INSERT INTO a VALUES (1) ON CONFLICT (x) DO UPDATE SET y = 1 WHERE shop.touch('x') > 0",
        "INSERT INTO a (b) VALUES (1) RETURNING shop.touch('x')",
        "INSERT INTO a TABLE pg_authid",
        "INSERT INTO a SELECT * INTO x FROM b",
        "INSERT INTO a (b) OVERRIDING SYSTEM VALUE VALUES (nextval('s'), setval('s', 1))",
        "",
    ];
    let passed: Vec<&&str> = all.iter().filter(|sql| check_change(sql).is_ok()).collect();
    assert!(passed.is_empty(), "{passed:?}");
    // What attacks a question is no change either, unless it is a plain one that says what it does.
    let changes: Vec<String> = lines(ATTACKS).filter_map(|sql| check_change(sql).ok().map(|change| change.sql)).collect();
    for sql in &changes {
        let words = sql.to_lowercase();
        assert!(!words.contains("pg_") && !words.contains("lo_") && !words.contains("with "), "{sql}");
    }
}

#[test]
fn which_rows_a_change_is_about_is_asked_with_its_own_words() {
    let all = [
        "UPDATE shop.orders SET note = 'x', total = total + 1 WHERE id = 1 RETURNING id",
        "update ONLY orders AS o set (a, b) = (select 1, now()), c = (o.c, 2), d = o.e is distinct from o.f, g = default \
         from (values (1, 2)) v(x, y) join w using (x) where o.id = v.x and extract(year from o.at) = 2024",
        "UPDATE \"Odd Name\" x SET (a, b) = (SELECT c, d FROM e WHERE e.id = x.id), f = 'now', g = random()",
        "DELETE FROM orders o USING customers c, LATERAL (SELECT 1 WHERE c.x = 2) l WHERE o.c = c.id -- all",
        "DELETE FROM ONLY shop.orders RETURNING *",
        "UPDATE a SET b = c.b FROM (SELECT * FROM c WHERE (c.x = 1)) c",
        "INSERT INTO a (b, c) OVERRIDING USER VALUE SELECT 1, d FROM e JOIN f ON f.x = e.x ON CONFLICT (b) DO NOTHING",
        "INSERT INTO a AS z (SELECT 1) RETURNING z.b",
        "INSERT INTO a (b) VALUES (1), ((SELECT max(b) FROM a)) ON CONFLICT ON CONSTRAINT k DO UPDATE SET b = excluded.b",
        "INSERT INTO a (b) VALUES ((SELECT max(b) FROM a), DEFAULT)",
        "INSERT INTO a SELECT now(), b FROM c",
        "INSERT INTO a VALUES (1)",
        "INSERT INTO a DEFAULT VALUES",
    ];
    let told: Vec<String> = all
        .iter()
        .map(|sql| match check_change(sql) {
            Ok(Change { reach, .. }) => format!(
                "{} | {} | {}{}",
                reach.target.as_deref().unwrap_or("-"),
                reach.from.as_deref().unwrap_or("-"),
                reach.values.join(" ; "),
                if reach.meets { "meets" } else { "" }
            ),
            Err(refusal) => format!("{sql}: {refusal}"),
        })
        .collect();
    expect_test::expect![[r#"
        shop.orders | FROM shop.orders WHERE (id = 1) | 'x' ; total + 1
        o | FROM ONLY orders AS o, (values (1, 2)) v(x, y) join w using (x) WHERE (o.id = v.x and extract(year from o.at) = 2024) | (o.c, 2) ; o.e is distinct from o.f
        x | FROM "Odd Name" x | (SELECT mooring_row::text FROM (SELECT c, d FROM e WHERE e.id = x.id) AS mooring_row)
        o | FROM orders o, customers c, LATERAL (SELECT 1 WHERE c.x = 2) l WHERE (o.c = c.id) | 
        shop.orders | FROM ONLY shop.orders | 
        a | FROM a, (SELECT * FROM c WHERE (c.x = 1)) c | c.b
        - | FROM (SELECT 1, d FROM e JOIN f ON f.x = e.x) AS mooring_source | meets
        - | FROM ((SELECT 1)) AS mooring_source | 
        - | FROM (VALUES (1), ((SELECT max(b) FROM a))) AS mooring_source | meets
        - | - | 
        - | - | 
        - | - | 
        - | - | "#]].assert_eq(&told.join("\n"));
}
