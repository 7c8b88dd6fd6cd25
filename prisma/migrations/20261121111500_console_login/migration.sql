-- AlterTable
ALTER TABLE "accesses" ADD COLUMN     "login" JSONB;

-- CreateTable
CREATE TABLE "suspensions" (
    "person_id" TEXT NOT NULL,
    "by" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "suspensions_pkey" PRIMARY KEY ("person_id")
);
