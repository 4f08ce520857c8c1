use contract::ApiError;
use contract::deploy::{ImageProgram, ImageQuestion, ImageView};
use yew::{AttrValue, Callback, Html, Properties, component, html, use_effect_with, use_state_eq};

use super::draft::{Change, change};
use crate::app::{use_host, use_lang};
use crate::controls::{Act, Card, Choice, ErrorNote, Notice, Picks, TextField, Tone};
use crate::send::use_send;
use crate::text::size;

/// The original program's image.
const ORIGINAL: &str = "ghcr.io/snailyp/gemini-balance:latest";

#[derive(PartialEq, Properties)]
pub struct ImageCardProps {
    /// Another image than the default; empty: that.
    pub image: AttrValue,
    pub default_image: AttrValue,
    /// The database is reached by TLS, which the original program cannot do.
    pub mysql_tls: bool,
    pub edit: Callback<Change>,
}

/// Which image, and whether it is there.
#[component]
pub fn ImageCard(props: &ImageCardProps) -> Html {
    let host = use_host();
    let sending = use_send();
    let found = use_state_eq(|| None::<ImageView>);
    let name = if props.image.is_empty() {
        props.default_image.clone()
    } else {
        props.image.clone()
    };
    // What was found belongs to what was asked for.
    use_effect_with(name.clone(), {
        let (found, sending) = (found.setter(), sending.clone());
        move |_| {
            found.set(None);
            sending.forget();
        }
    });
    let check = {
        let (sending, found) = (sending.clone(), found.setter());
        Callback::from(move |()| {
            let question = ImageQuestion {
                image: name.to_string(),
            };
            let found = found.clone();
            sending.run(
                async move { host.post("/api/deploy/image", &question).await },
                move |view: ImageView| found.set(Some(view)),
            );
        })
    };
    html!(
        <ImageCardView
            image={props.image.clone()}
            default_image={props.default_image.clone()}
            mysql_tls={props.mysql_tls}
            edit={props.edit.clone()}
            busy={sending.busy}
            error={sending.error.clone()}
            found={(*found).clone()}
            {check}
        />
    )
}

#[derive(PartialEq, Properties)]
pub struct ImageCardViewProps {
    pub image: AttrValue,
    pub default_image: AttrValue,
    pub mysql_tls: bool,
    pub edit: Callback<Change>,
    pub busy: bool,
    pub error: Option<ApiError>,
    pub found: Option<ImageView>,
    pub check: Callback<()>,
}

/// The choice as a function of what was typed and found.
#[component]
pub fn ImageCardView(props: &ImageCardViewProps) -> Html {
    let lang = use_lang();
    let other = use_state_eq(|| !props.image.is_empty() && props.image != ORIGINAL);
    let original = is_original(&props.image);
    let which = if *other {
        "other"
    } else if props.image.is_empty() {
        "ours"
    } else {
        "original"
    };
    let onwhich = {
        let (edit, other) = (props.edit.clone(), other.setter());
        Callback::from(move |which: AttrValue| {
            other.set(which == "other");
            let image = match which.as_str() {
                "original" => ORIGINAL.to_owned(),
                "ours" => String::new(),
                _ => return,
            };
            edit.emit(change(move |draft| draft.image = image));
        })
    };
    let choices = ["ours", "original", "other"]
        .map(|name| Choice {
            value: name.into(),
            text: lang.t(&format!("deploy.image.which.{name}")),
        })
        .to_vec();
    let shown = if props.image.is_empty() {
        &props.default_image
    } else {
        &props.image
    };
    html!(
        <Card id="image-card" title={lang.t("deploy.image.title")}>
            <p class="gb-muted">{ lang.t("deploy.image.help") }</p>
            <Picks id="image-which" label={lang.t("deploy.image.title")} {choices} chosen={which} onchange={onwhich} />
            if *other {
                <TextField
                    id="image-name" label={lang.t("instances.fact.image")} placeholder={props.default_image.clone()}
                    value={props.image.clone()}
                    oninput={props.edit.reform(|text: String| change(move |draft| draft.image = text))}
                />
            } else {
                <p class="gb-mono gb-small" data-testid="image-shown">{ shown }</p>
            }
            if original {
                <Notice tone={Tone::Warning} id="image-original" title={lang.t("deploy.image.original")}>
                    <p>{ lang.t("deploy.image.original_help") }</p>
                    if props.mysql_tls {
                        <p class="gb-bad">{ lang.t("deploy.image.original_tls") }</p>
                    }
                </Notice>
            }
            <div><Act id="image-check" label={lang.t("deploy.image.check")} busy={props.busy} onclick={props.check.clone()} /></div>
            <div aria-live="polite">
                if let Some(error) = props.error.clone() {
                    <ErrorNote {error} />
                } else if let Some(found) = &props.found {
                    <Notice tone={Tone::Success} id="image-found" title={lang.t("deploy.image.found")}>
                        <ul class="gb-plain-list gb-small">
                            <li>{ lang.of("deploy.image.program", &found.program) }</li>
                            <li>{ found.platforms.join(", ") }</li>
                            if let Some(bytes) = found.bytes { <li>{ size(bytes) }</li> }
                            <li class="gb-mono">{ &found.digest }</li>
                        </ul>
                        if found.program == ImageProgram::Original && !original {
                            <p>{ lang.t("deploy.image.original_help") }</p>
                        }
                    </Notice>
                }
            </div>
        </Card>
    )
}

/// Whether an image is the original program's, as far as its name tells.
fn is_original(image: &str) -> bool {
    image.contains("snailyp/gemini-balance")
}
