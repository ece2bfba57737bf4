create schema nyc;

create table nyc.airlines (
    carrier text primary key,
    name    text not null
);

create table nyc.airports (
    faa   text primary key,
    name  text not null,
    lat   double precision not null,
    lon   double precision not null,
    alt   integer not null,
    tz    smallint,
    dst   text,
    tzone text
);

create table nyc.planes (
    tailnum      text primary key,
    year         smallint,
    type         text not null,
    manufacturer text not null,
    model        text not null,
    engines      smallint not null,
    seats        smallint not null,
    speed        smallint,
    engine       text not null
);

create table nyc.weather (
    origin     text not null,
    year       smallint not null,
    month      smallint not null,
    day        smallint not null,
    hour       smallint not null,
    temp       double precision,
    dewp       double precision,
    humid      double precision,
    wind_dir   double precision,
    wind_speed double precision,
    wind_gust  double precision,
    precip     double precision,
    pressure   double precision,
    visib      double precision,
    time_hour  timestamptz not null
);

create table nyc.flights (
    flight_id      bigint primary key,
    year           smallint not null,
    month          smallint not null,
    day            smallint not null,
    dep_time       smallint,
    sched_dep_time smallint not null,
    dep_delay      smallint,
    arr_time       smallint,
    sched_arr_time smallint not null,
    arr_delay      smallint,
    carrier        text not null,
    flight         integer not null,
    tailnum        text,
    origin         text not null,
    dest           text not null,
    air_time       smallint,
    distance       integer not null,
    hour           smallint not null,
    minute         smallint not null,
    time_hour      timestamptz not null
);
