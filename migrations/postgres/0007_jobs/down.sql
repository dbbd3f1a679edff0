DROP TABLE broadcasts;
