//! Completions for shells, made of the table of flags and commands. Pure.
//!
//! The command is the first word; the flags that are offered are those that belong to it. `tests/it/completion.rs` has the shells read
//! and use the scripts.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::cli::flags::{ALONE, Command, FLAGS, Flag, Offers, Takes, commands};

/// The script for a shell of [`crate::cli::flags::SHELLS`].
pub fn script(shell: &str) -> String {
    match shell {
        "zsh" => zsh(),
        "fish" => fish(),
        _ => bash(),
    }
}

/// The first words of all commands, each once, with the purpose. The controller has none.
fn first_words() -> Vec<(&'static str, &'static str)> {
    let mut seen = BTreeSet::new();
    let words = commands().iter().filter_map(|c| Some((c.name.split(' ').next()?, c.help)));
    words.filter(|(word, _)| !word.is_empty() && seen.insert(*word)).collect()
}

/// The flags of all commands that begin with `first`.
fn flags_of(first: &str) -> Vec<&'static Flag> {
    let mine = |c: &&Command| c.name.split(' ').next() == Some(first);
    FLAGS.iter().filter(|flag| commands().iter().filter(mine).any(|c| flag.belongs_to(c))).collect()
}

/// The words that may follow `first`: the second word of a command, or a word that it takes.
fn words_of(first: &str) -> Vec<&'static str> {
    let mine = commands().iter().filter(|c| c.name.split(' ').next() == Some(first));
    let words = mine.flat_map(|c| match (c.name.split_once(' '), c.takes) {
        (Some((_, second)), _) => vec![second],
        (None, Takes::Word(words)) => words.to_vec(),
        (None, _) => Vec::new(),
    });
    words.collect()
}

/// The first part of a help text, without signs that have a meaning to a shell.
fn short(help: &str) -> String {
    let end = [", ", "; ", ": ", " (", ". "].iter().filter_map(|sign| help.find(sign)).min().unwrap_or(help.len());
    help[..end].chars().filter(|c| !matches!(c, '\'' | '"' | '\\' | '[' | ']' | ':' | '`' | '$')).collect()
}

/// `-h`, `-help` and `-version`.
fn alone() -> Vec<(&'static str, &'static str)> {
    ALONE.iter().flat_map(|(heads, help)| heads.split(", ").map(|head| (head.trim_start_matches('-'), *help))).collect()
}

fn bash() -> String {
    let dashed = |flags: &[&Flag]| flags.iter().map(|f| format!("-{}", f.name())).collect::<Vec<_>>().join(" ");
    let words = first_words().iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" ");
    let alone = alone().iter().map(|(name, _)| format!("-{name}")).collect::<Vec<_>>().join(" ");
    let mut cases = format!("    '' | -*) words='{} {alone}' first='{words}' ;;\n", dashed(&flags_of("")));
    for (first, _) in first_words() {
        let all = [dashed(&flags_of(first)), words_of(first).join(" ")].join(" ");
        writeln!(cases, "    {first}) words='{}' ;;", all.trim()).ok();
    }
    let mut values = String::new();
    for flag in FLAGS.iter().filter(|flag| !flag.value.is_empty()) {
        let name = flag.name();
        let reply = match flag.offers {
            Offers::Words(words) => format!("compgen -W '{}' -- \"$current\"", words.join(" ")),
            Offers::Files => "compgen -f -- \"$current\"".to_owned(),
            Offers::Folders => "compgen -d -- \"$current\"".to_owned(),
            Offers::Nothing => ":".to_owned(),
        };
        writeln!(values, "    -{name} | --{name}) mapfile -t COMPREPLY < <({reply}); return ;;").ok();
    }
    format!(
        "# Completions for bash: source <(notariat completion bash)\n\
         _notariat() {{\n  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} words='' first=''\n  \
         COMPREPLY=()\n  # Bash takes the sign of -flag=value for a word.\n  \
         if [ \"$current\" = = ]; then current=''; elif [ \"$previous\" = = ]; then previous=${{COMP_WORDS[COMP_CWORD - 2]}}; fi\n  \
         case $previous in\n{values}  esac\n  case ${{COMP_WORDS[1]}} in\n{cases}    *) first='{words}' ;;\n  esac\n  \
         [ \"$COMP_CWORD\" -gt 1 ] || words=\"$words $first\"\n  \
         mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}}\n\
         complete -F _notariat notariat\n"
    )
}

fn zsh() -> String {
    let spec = |flag: &Flag| {
        let action = match flag.offers {
            Offers::Words(words) => format!("({})", words.join(" ")),
            Offers::Files => "_files".to_owned(),
            Offers::Folders => "_files -/".to_owned(),
            Offers::Nothing => " ".to_owned(),
        };
        let help = if flag.help.is_empty() { String::new() } else { format!("[{}]", short(flag.help)) };
        match flag.value {
            "" => format!("'-{}{help}'", flag.name()),
            value => format!("'-{}{help}:{}:{action}'", flag.name(), value.replace([':', '[', ']'], " ").trim()),
        }
    };
    let block = |specs: Vec<String>| specs.iter().map(|spec| format!(" \\\n        {spec}")).collect::<String>();
    let mut cases = String::new();
    for (first, _) in first_words() {
        let mut specs: Vec<String> = flags_of(first).into_iter().map(spec).collect();
        let words = words_of(first);
        specs.extend((!words.is_empty()).then(|| format!("'1:word:({})'", words.join(" "))));
        writeln!(cases, "    {first})\n      _arguments{}\n      ;;", block(specs)).ok();
    }
    let mut specs: Vec<String> = flags_of("").into_iter().map(spec).collect();
    specs.extend(alone().iter().map(|(name, help)| format!("'-{name}[{}]'", short(help))));
    let commands: String =
        first_words().iter().map(|(word, help)| format!("      '{word}:{}'\n", short(help))).collect();
    format!(
        "#compdef notariat\n# Completions for zsh: notariat completion zsh > \"${{fpath[1]}}/_notariat\"\n\
         _notariat() {{\n  if (( CURRENT == 2 )) && [[ $PREFIX != -* ]]; then\n    local -a commands=(\n{commands}    )\n    \
         _describe command commands\n    return\n  fi\n  local first=${{words[2]}}\n  if [[ $first != -* ]]; then\n    \
         shift words\n    (( CURRENT-- ))\n  fi\n  case $first in\n{cases}    *)\n      _arguments{}\n      ;;\n  esac\n}}\n\
         if [[ ${{funcstack[1]}} = _notariat ]]; then _notariat \"$@\"; else compdef _notariat notariat; fi\n",
        block(specs)
    )
}

fn fish() -> String {
    let mut script = "# Completions for fish: notariat completion fish | source\ncomplete -c notariat -f\n".to_owned();
    let words = first_words();
    let all = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" ");
    for (word, help) in &words {
        writeln!(script, "complete -c notariat -n __fish_use_subcommand -a {word} -d '{}'", short(help)).ok();
    }
    let controller = format!("not __fish_seen_subcommand_from {all}");
    let mut line = |condition: &str, flag: &Flag| {
        let option = if flag.name().len() == 1 { "-s" } else { "-o" };
        let value = match (flag.value, flag.offers) {
            ("", _) => String::new(),
            (_, Offers::Words(words)) => format!(" -x -a '{}'", words.join(" ")),
            (_, Offers::Files) => " -r -F".to_owned(),
            (_, Offers::Folders) => " -x -a '(__fish_complete_directories)'".to_owned(),
            (_, Offers::Nothing) => " -x".to_owned(),
        };
        let help = if flag.help.is_empty() { String::new() } else { format!(" -d '{}'", short(flag.help)) };
        writeln!(script, "complete -c notariat -n '{condition}' {option} {}{value}{help}", flag.name()).ok();
    };
    flags_of("").into_iter().for_each(|flag| line(&controller, flag));
    for (first, _) in &words {
        let condition = format!("__fish_seen_subcommand_from {first}");
        flags_of(first).into_iter().for_each(|flag| line(&condition, flag));
    }
    for (name, help) in alone() {
        let option = if name.len() == 1 { "-s" } else { "-o" };
        writeln!(script, "complete -c notariat -n '{controller}' {option} {name} -d '{}'", short(help)).ok();
    }
    for (first, _) in &words {
        let words = words_of(first).join(" ");
        if !words.is_empty() {
            writeln!(script, "complete -c notariat -n '__fish_seen_subcommand_from {first}' -a '{words}'").ok();
        }
    }
    script
}
