//! Every default of the configuration, with its unit and its reason.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::settings::{
    CreateTable, Fidelity, OnBadRow, OnNonempty, OnNonjson, OnNul, Replace, SnapshotPolicy,
    SslMode, WatermarkLow,
};
use crate::size::ByteSize;

/// PostgreSQL's registered port.
pub const POSTGRES_PORT: u16 = 5432;

/// TLS where the server offers it, as libpq does.
pub const SSLMODE: SslMode = SslMode::Prefer;

/// Thirty seconds for a connection: longer than a failover in one region, short enough to be told.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// One minute for a login.
pub const LOGIN_TIMEOUT: Duration = Duration::from_mins(1);

/// Four hours for one statement: the largest scans on the smallest warehouses end within that.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_hours(4);

/// Five minutes for one part of a result, which is at most some tens of MiB.
pub const PARTITION_TIMEOUT: Duration = Duration::from_mins(5);

/// Three tries of one chunk, the first one included.
pub const MAX_RETRY_ATTEMPTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

/// Two minutes: time to finish a batch and to hand back the lease before a Lambda is killed.
pub const LAMBDA_TIMEOUT_BUFFER: Duration = Duration::from_mins(2);

/// Rows in flight over all workers; fits the smallest Lambda and keeps several workers busy.
pub const MEMORY_BUDGET: ByteSize = ByteSize::mib(256);

/// Below this not even two partitions of a Snowflake result fit.
pub const SMALLEST_MEMORY_BUDGET: ByteSize = ByteSize::mib(32);

/// Thirty seconds without a heartbeat and a chunk is taken over.
pub const LEASE: Duration = Duration::from_secs(30);

/// One frozen state where the source has it.
pub const SNAPSHOT: SnapshotPolicy = SnapshotPolicy::Prefer;

/// Nothing is lost without being asked for.
pub const FIDELITY: Fidelity = Fidelity::Strict;

/// No letter is left out without being asked for.
pub const ON_NUL: OnNul = OnNul::Reject;

/// No number becomes another value without being asked for.
pub const ON_NONJSON: OnNonjson = OnNonjson::Reject;

/// No row is left out without being asked for.
pub const ON_BAD_ROW: OnBadRow = OnBadRow::Fail;

/// Chunks commit out of order, so after a failed run the target's maximum lies above missing rows.
pub const WATERMARK_LOW: WatermarkLow = WatermarkLow::LastWindow;

/// No overlap: the window itself loses nothing on a source whose watermark only grows.
pub const WATERMARK_OVERLAP: Duration = Duration::ZERO;

/// A missing table is more often a mistyped name than a wish.
pub const CREATE_TABLE: CreateTable = CreateTable::Never;

/// Rows go into the table itself.
pub const REPLACE: Replace = Replace::Off;

/// Appending to rows that are there may double them.
pub const ON_NONEMPTY: OnNonempty = OnNonempty::Refuse;
