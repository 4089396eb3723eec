// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What an object offers, from its introspection. Not a parser of XML: the service's own text is known
//! to have one element on each `<`.

/// A method of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Interface that it is in.
    pub interface: String,
    /// Its name.
    pub name: String,
    /// Signature of each argument.
    pub arguments: Vec<String>,
}

/// An object's methods, and the names of the nodes below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// All methods of all interfaces.
    pub methods: Vec<Method>,
    /// Interface and name of each property.
    pub properties: Vec<(String, String)>,
    /// Names below.
    pub children: Vec<String>,
}

impl Object {
    /// Reads the XML.
    pub fn parse(xml: &str) -> Self {
        let mut object = Self::default();
        let mut interface = String::new();
        let mut in_method = false;
        for element in xml.split('<').skip(1) {
            let named = || attribute(element, "name").unwrap_or_default();
            if element.starts_with("node ") {
                object.children.extend(attribute(element, "name"));
            } else if element.starts_with("interface ") {
                interface = named();
            } else if element.starts_with("method ") {
                in_method = true;
                object.methods.push(Method {
                    interface: interface.clone(),
                    name: named(),
                    arguments: Vec::new(),
                });
            } else if element.starts_with("signal ") || element.starts_with("/method") {
                in_method = false;
            } else if element.starts_with("property ") {
                object.properties.push((interface.clone(), named()));
            } else if element.starts_with("arg ")
                && in_method
                && attribute(element, "direction").as_deref() != Some("out")
                && let Some(method) = object.methods.last_mut()
            {
                method.arguments.extend(attribute(element, "type"));
            }
        }
        object
    }
}

fn attribute(element: &str, name: &str) -> Option<String> {
    let (_, rest) = element.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_methods_with_their_arguments() {
        let object = Object::parse(
            r#"<node><interface name="a.B"><method name="M"><arg name="x" type="a{sv}" direction="in"/>
            <arg type="s" direction="out"/></method><method name="N"/><signal name="S"><arg type="s"/></signal>
            <property name="P" type="s" access="read"/></interface><node name="child"/></node>"#,
        );
        assert_eq!(object.methods.len(), 2);
        assert_eq!(object.methods[0].arguments, ["a{sv}"]);
        assert_eq!(object.methods[1].arguments, [""; 0]);
        assert_eq!(object.children, ["child"]);
        assert_eq!(object.properties, [("a.B".to_owned(), "P".to_owned())]);
    }
}
