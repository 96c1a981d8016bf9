use skytools::db::copy::TableCopy;
use skytools::db::structure::{Element, Table};
use skytools::db::{Connection, Options, QualifiedName};

pub async fn move_in(provider: &str, subscriber: &str) -> skytools::Result<()> {
    let provider = Connection::open("provider_db", provider, Options::default()).await?;
    let subscriber = Connection::open("subscriber_db", subscriber, Options::default()).await?;
    let orders = QualifiedName::parse("shop.orders");
    let archive = QualifiedName::parse("archive.orders");

    let structure = Table::load(&provider, &orders).await?;
    structure.create(&subscriber, &[Element::Table, Element::PrimaryKey], &archive).await?;
    let copied = TableCopy::new(orders)
        .into_table(archive.clone())
        .condition("placed >= date '2024-01-01'")
        .run(&provider, &subscriber)
        .await?;
    println!("{} rows, {} bytes", copied.rows, copied.bytes);
    // What slows a copy down comes after it.
    structure.create(&subscriber, &[Element::Sequences, Element::Defaults], &archive).await?;
    structure.create(&subscriber, &[Element::Indexes], &archive).await?;
    subscriber.commit().await
}
